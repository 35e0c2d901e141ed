"""The steps by which the official package prepares torch, without effect: the farm does them itself."""

from __future__ import annotations

from typing import Any

__all__ = ["enter_mode", "init", "is_in_bad_fork", "move", "pack", "patch", "size", "unpatch"]


def _nothing(*_arguments: Any, **_options: Any) -> None:  # Any: the official package's arguments
    """Has no effect: CUDA is emulated from `import spaces` on, and weights move when a child takes its GPU."""


def _none(*_arguments: Any, **_options: Any) -> int:
    """Return 0 bytes: the farm keeps weights in memory and packs none to disk."""
    return 0


def is_in_bad_fork() -> bool:
    """Return False, whether CUDA was initialized before the fork; the farm never forks such a process."""
    return False


enter_mode = init = move = patch = unpatch = _nothing
pack = size = _none
