"""Gives `submit` to a function that runs without a farm. Nothing that a call needs is imported before the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spaces.functions.local_handle import LocalHandle


def give_submit(function: Callable[..., Any]) -> None:
    """Give a function that runs without a farm a `submit` like that of a decorated one."""

    def submit(*args: Any, **kwargs: Any) -> LocalHandle:
        from spaces.functions.local_handle import LocalHandle

        return LocalHandle(function, args, kwargs)

    if not hasattr(function, "submit"):
        try:
            function.submit = submit  # type: ignore[attr-defined] # a new attribute
        except (AttributeError, TypeError):
            pass  # a builtin, or an object with slots, has no room for it
