"""`import spaces`: the package that a Space imports. Without a farm it has no effect.

    import spaces

    @spaces.GPU(duration=30)
    def generate(prompt):
        return pipe(prompt).images[0]

Importing this package imports neither torch nor gradio nor celery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spaces import role as _role
from spaces.decorator import GPU, disable_gradio_auto_wrap, enable_gradio_auto_wrap, gradio_auto_wrap

if TYPE_CHECKING:
    from spaces.aoti import (
        aoti_apply,
        aoti_blocks_load,
        aoti_capture,
        aoti_compile,
        aoti_compile_and_save,
        aoti_load,
        aoti_load_call_source,
        aoti_load_from_package_dir,
        aoti_patch,
    )
    from spaces.web.allowance import quota
    from spaces.web.handle import TaskHandle
    from spaces.web.remote import Farm

__version__ = "0.1.0"

__all__ = [
    "GPU",
    "Farm",
    "TaskHandle",
    "aoti_apply",
    "aoti_blocks_load",
    "aoti_capture",
    "aoti_compile",
    "aoti_compile_and_save",
    "aoti_load",
    "aoti_load_call_source",
    "aoti_load_from_package_dir",
    "aoti_patch",
    "disable_gradio_auto_wrap",
    "enable_gradio_auto_wrap",
    "gradio_auto_wrap",
    "quota",
]

_LAZY = {
    "Farm": "spaces.web.remote",
    "TaskHandle": "spaces.web.handle",
    "quota": "spaces.web.allowance",
    **{name: "spaces.aoti" for name in __all__ if name.startswith("aoti_")},
}


_MODULES = ("config", "zero")


def __getattr__(name: str) -> Any:  # Any: one of several classes, or a module
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"spaces.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module 'spaces' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


if _role.current() is not _role.Role.NONE:
    from spaces import launch as _launch

    _launch.prepare()
