"""Private names of the official package, for the few Spaces that reach past its public ones.

    from spaces import zero

    zero.startup()          # before `uvicorn.run(app)`, where no `launch()` says that the script is complete

As there, `startup` exists only where there is a farm. Neither torch nor gradio is imported here.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from spaces import config
from spaces.config import Role

__all__ = ["default_gpu_size"]

_MODULES = ("client", "decorator", "gradio", "torch")


def __getattr__(name: str) -> ModuleType:
    """The official package has imported its modules by now: `spaces.zero.client` is there without an import."""
    if name in _MODULES:
        return import_module(f"spaces.zero.{name}")
    raise AttributeError(f"module 'spaces.zero' has no attribute {name!r}")


def default_gpu_size() -> None:
    """The size of functions that name none; None stands for "large", as in the official package."""


if config.current().role is not Role.NONE:
    from spaces.launch import announce as startup

    __all__ += ["startup"]
