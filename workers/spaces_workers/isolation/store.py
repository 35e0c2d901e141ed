"""Keeps environments, each in a folder named after its key; a folder is complete or absent."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spaces_workers.isolation.space_environment import NOTES

#: Seconds that an environment outlives its last use.
LIFETIME = 30 * 24 * 3600.0


def kept(folder: Path, key: str, make: Callable[[Path], None], log: Callable[[str], None]) -> Path:
    """Return the folder of a key's environment. If missing, `make` fills an empty folder; its errors propagate."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = folder / key
    with _lock(folder / f".{key}.lock", log):
        if not _is_whole(root):
            _remove(root)
            _make(root, make)
        else:
            (root / "used").touch()
    prune(folder, keep=key)
    return root


def notes_of(root: Path) -> tuple[str, ...]:
    """The notes that were written when an environment was made."""
    return tuple(json.loads((root / NOTES).read_text()))


def prune(folder: Path, keep: str = "", lifetime: float = LIFETIME, now: Callable[[], float] = time.time) -> None:
    """Remove environments that are unused for `lifetime` seconds and run no process, and incomplete ones."""
    for root in folder.iterdir():
        if not root.is_dir() or root.name == keep:
            continue
        key = root.name.lstrip(".").partition("~")[0]
        with _at_once(folder / f".{key}.lock") as free:
            if free and (root.name.startswith(".") or _is_forgotten(root, now() - lifetime)):
                _remove(root)


def _make(root: Path, make: Callable[[Path], None]) -> None:
    staging = root.with_name(f".{root.name}~{os.getpid()}")
    _remove(staging)
    staging.mkdir(mode=0o700)
    try:
        make(staging)
        (staging / "used").touch()
        staging.rename(root)
    except BaseException:
        _remove(staging)
        raise


def _is_whole(root: Path) -> bool:
    # A removed interpreter leaves a dangling link.
    return (root / NOTES).is_file() and (root / "bin" / "python").exists() and _has_ours(root)


def _has_ours(root: Path) -> bool:
    """Whether its link to the farm's `spaces` still leads there; it dangles after the farm was moved."""
    ours = root / "ours"
    return not ours.exists() or (ours / "spaces" / "__init__.py").is_file()


def _is_forgotten(root: Path, before: float) -> bool:
    used = root / "used"
    if used.exists() and used.stat().st_mtime > before:
        return False
    with _at_once(used) as free:
        return free


def _remove(root: Path) -> None:
    """Rename before removing, so that an interrupted removal leaves no folder that looks complete."""
    if root.exists():
        gone = root if root.name.startswith(".") else root.with_name(f".{root.name}~gone-{os.getpid()}")
        root.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def _lock(path: Path, log: Callable[[str], None]) -> Iterator[None]:
    with _opened(path) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("another process is making this environment; waiting for it")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield


@contextmanager
def _at_once(path: Path) -> Iterator[bool]:
    """Try to take the lock without waiting; yields whether that succeeded."""
    with _opened(path) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)
