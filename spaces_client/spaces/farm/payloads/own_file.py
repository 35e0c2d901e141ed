"""Opens a file that another process may have put there: only a plain file of the expected owner and size, never a link.

A Space's code can put anything in its folder: a link to another's file, a pipe that blocks its reader, a file without
end, or one that it cuts off while it is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def opened(folder: Path, name: str, owners: Collection[int], size_bytes: int) -> Iterator[int]:
    """A descriptor of the file `name` in `folder`, for reading.

    Raises FileNotFoundError, and ValueError for anything but a file of one of these users with this size.
    """
    below = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        descriptor = _opened(below, name)
    finally:
        os.close(below)
    try:
        _check(name, os.fstat(descriptor), owners, size_bytes)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(below: int, name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=below)
    except FileNotFoundError:
        raise
    except OSError as error:  # a link, a socket, a file of another user
        raise ValueError(f"the payload {name} cannot be read: {error.strerror}") from None


def _check(name: str, found: os.stat_result, owners: Collection[int], size_bytes: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"the payload {name} is not a file")
    if found.st_uid not in owners:
        raise ValueError(f"the payload {name} belongs to user {found.st_uid}, who may not send it")
    if found.st_size != size_bytes:
        raise ValueError(f"the payload {name} has {found.st_size} bytes, but {size_bytes} were announced")
