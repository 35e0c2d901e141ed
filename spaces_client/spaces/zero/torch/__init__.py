"""The steps by which the official package prepares torch, as calls without effect: the farm takes them itself."""

from __future__ import annotations

from typing import Any

__all__ = ["enter_mode", "init", "is_in_bad_fork", "move", "pack", "patch", "size", "unpatch"]


def _nothing(*_arguments: Any, **_options: Any) -> None:  # Any: whatever the official package took
    """Has no effect: CUDA is emulated from `import spaces` on, and weights move when a child takes its GPU."""


def _none(*_arguments: Any, **_options: Any) -> int:
    """No bytes: the farm keeps weights in memory, and packs none to disk."""
    return 0


def is_in_bad_fork() -> bool:
    """Whether CUDA was initialized too early; the farm never forks a process that has done so."""
    return False


enter_mode = init = move = patch = unpatch = _nothing
pack = size = _none
