"""The cache of compiled packages: folders named by their content, each complete or absent.

Children may be killed at any time, and several processes may want the same entry at once. So an entry is made in a
draft folder, under a lock that the kernel releases when its process dies, and renamed into place when it is complete.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: The folder of compiled models, instead of `compiled` in the state directory.
FOLDER = "ZEROFARM_COMPILED_DIR"

_NAME = re.compile(r"[a-z]+-[0-9a-f]{64}")


def cache_dir() -> Path:
    """`$ZEROFARM_COMPILED_DIR/aoti`, else `zerofarm/aoti` in the user's cache folder."""
    if given := os.environ.get(FOLDER):
        return Path(given) / "aoti"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zerofarm" / "aoti"


def find(name: str) -> Path | None:
    """The folder of an entry; None if it does not exist."""
    folder = _folder(name)
    return folder if folder.is_dir() else None


def keep(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of an entry. The first caller fills it by `make(empty_folder)`; the others wait for that.

    If `make` raises, or is killed, no entry is left, and the next caller tries again.
    """
    folder = _folder(name)
    if folder.is_dir():
        return folder
    draft = cache_dir() / "drafts" / name
    with _locked(name):
        if not folder.is_dir():
            shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
            draft.mkdir(parents=True)
            try:
                make(draft)
                draft.rename(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return folder


def _folder(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name of a compiled package must be a kind and a SHA-256, got {name!r}")
    return cache_dir() / name


@contextmanager
def _locked(name: str) -> Iterator[None]:
    path = cache_dir() / "locks" / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
