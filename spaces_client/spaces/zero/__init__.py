"""Private names of the official package, for the few Spaces that use them.

    from spaces import zero

    zero.startup()          # before `uvicorn.run(app)`, if no `launch()` shows that the script is complete

As there, `startup` exists only in a farm. Neither torch nor gradio is imported here.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from spaces import role
from spaces.role import Role

__all__ = ["default_gpu_size"]

_MODULES = ("client", "decorator", "gradio", "torch")


def __getattr__(name: str) -> ModuleType:
    """Import a submodule on access: in the official package `spaces.zero.client` works without an import."""
    if name in _MODULES:
        return import_module(f"spaces.zero.{name}")
    raise AttributeError(f"module 'spaces.zero' has no attribute {name!r}")


def default_gpu_size() -> None:
    """The size of functions without one; None means "large", as in the official package."""


if role.current() is not Role.NONE:
    from spaces.launch import announce as startup

    __all__ += ["startup"]
