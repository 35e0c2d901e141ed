"""Replaces attributes of other libraries so that this can be undone, even for names imported from them.

`from torch.cuda import is_available` puts our function into the Space's own globals, where no undo reaches it. So
every replacement made by `function` calls the original after the emulation has ended.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any  # any attribute may be replaced

_MISSING = object()


class Patches:
    """The active replacements, in the order they were made."""

    def __init__(self) -> None:
        self.active = True
        self._undo: list[tuple[Any, str, object]] = []
        self._afterwards: list[Callable[[], object]] = []

    def value(self, owner: Any, name: str, value: object) -> None:
        """Set `owner.name` and remember the old value."""
        self._undo.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)

    def function(self, owner: Any, name: str, emulated: Callable[..., Any]) -> None:
        """Replace a function or method by one that calls the original after `undo`."""
        original = getattr(owner, name, None)

        @functools.wraps(original or emulated)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            if self.active or original is None:
                return emulated(*args, **kwargs)
            return original(*args, **kwargs)

        self.value(owner, name, replacement)

    def afterwards(self, act: Callable[[], object]) -> None:
        """Have `act` called once everything has been put back."""
        self._afterwards.append(act)

    def finish(self) -> None:
        """Call what `afterwards` was given: the caller has a device by now, if there is one."""
        while self._afterwards:
            self._afterwards.pop(0)()

    def undo(self) -> None:
        """Restore all attributes, the last first."""
        self.active = False
        while self._undo:
            owner, name, value = self._undo.pop()
            if value is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
