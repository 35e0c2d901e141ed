"""Sealed memory as a worker gets it from children, which may send any descriptor, and from other workers of its host.

It is read, never mapped: a hole then takes no memory, and nothing that a child does ends the worker.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from spaces_workers.worker.child_link import Halted

#: Without these seals the bytes, or their number, could change.
_NEEDED = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW

_PIECE = 4 << 20


def taken(fd: int, size: int) -> int:
    """A descriptor, for reading alone, of the sealed memory that a child has sent; the caller must close both.

    Nothing else is opened: for some devices and pipes, that alone does something. Raises OSError, also if there is no
    sealed memory of this size.
    """
    if not _is_sealed(fd, size):
        raise OSError(f"a child sent no sealed memory of {size} bytes")
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)


def opened(pid: int, fd: int, size: int) -> int:
    """The same for a descriptor of another worker, which may have closed it. Raises OSError, as `taken`."""
    found = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if _is_sealed(found, size):
        return found
    os.close(found)
    raise OSError(f"descriptor {fd} of process {pid} is no sealed memory of {size} bytes")


def have_same_bytes(one: int, other: int, size: int, halted: Callable[[], bool]) -> bool:
    """Whether two sealed memories hold the same bytes. Raises Halted."""
    ours, theirs = bytearray(_PIECE), bytearray(_PIECE)
    for begin in range(0, size, _PIECE):
        if halted():
            raise Halted("copies were not compared to their end")
        if os.preadv(one, [ours], begin) != os.preadv(other, [theirs], begin) or ours != theirs:
            return False
    return True


def _is_sealed(fd: int, size: int) -> bool:
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:  # no file in memory, or a descriptor that is only a path
        return False
    return seals & _NEEDED == _NEEDED and os.fstat(fd).st_size == size
