"""Builds the view of the file system that a sandbox has, in a mount namespace of its own, and makes it the root."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from spaces_workers.sandbox import system_calls as calls
from spaces_workers.sandbox.description import Kind, Place, Sandbox

#: Of the processes in /proc, only those of its own user are shown: proc(5).
_PROC_OPTIONS = "hidepid=2"

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

#: What the kernel answers where a file system cannot show other owners.
_UNMAPPABLE = (errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


def build(sandbox: Sandbox) -> None:
    """Enter new namespaces and see nothing but the places of the sandbox."""
    calls.unshare(calls.CLONE_NEWNS | calls.CLONE_NEWIPC)
    calls.mount("none", "/", flags=calls.MS_REC | calls.MS_PRIVATE)  # nothing of the following reaches the host
    calls.mount("tmpfs", sandbox.root, "tmpfs", calls.MS_NOSUID | calls.MS_NODEV, "mode=755")
    root = os.open(sandbox.root, _FOLDER)
    for place in sandbox.places:
        _show(place, root)
    os.close(root)
    calls.become_root_folder(sandbox.root)


def _show(place: Place, root: int) -> None:
    folder, name = os.path.split(place.path)
    with _opened(root, folder) as parent:
        if place.kind is Kind.LINK:
            with suppress(FileExistsError):
                os.symlink(place.source, name, dir_fd=parent)
            return
        is_folder = place.kind in (Kind.EMPTY, Kind.PROC) or os.path.isdir(place.source)
        with _opened(parent, name) if is_folder else _file(parent, name) as target:
            _mount(place, target)


def _mount(place: Place, target: int) -> None:
    match place.kind:
        case Kind.HOST:
            calls.bind(place.source, target, _attributes(place))
        case Kind.OWN:
            _bind_own(place, target)
        case Kind.DEVICE:
            calls.bind(place.source, target, calls.MOUNT_ATTR_NOSUID)
        case Kind.EMPTY:
            mode = "1777" if place.writable else "755"
            calls.mount("tmpfs", _path_of(target), "tmpfs", calls.MS_NOSUID | calls.MS_NODEV, f"mode={mode}")
        case Kind.PROC:
            flags = calls.MS_NOSUID | calls.MS_NODEV | calls.MS_NOEXEC
            calls.mount("proc", _path_of(target), "proc", flags, _PROC_OPTIONS)
        case _:
            raise ValueError(f"nothing is mounted for a {place.kind}")


def _bind_own(place: Place, target: int) -> None:
    if not place.mapping:
        calls.bind(place.source, target, _attributes(place))
        return
    mapping = os.open(place.mapping, os.O_RDONLY | os.O_CLOEXEC)
    try:
        calls.bind(place.source, target, _attributes(place), mapping, with_submounts=False)
    except OSError as error:
        if error.errno not in _UNMAPPABLE:
            raise
        if place.writable:
            print(f"ZeroFarm: this Space may not write to {place.source}: {error}", file=sys.stderr, flush=True)
        calls.bind(place.source, target, _attributes(place))
    finally:
        os.close(mapping)


def _attributes(place: Place) -> int:
    return calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV | (0 if place.writable else calls.MOUNT_ATTR_RDONLY)


def _path_of(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


@contextmanager
def _opened(root: int, path: str) -> Iterator[int]:
    """A folder below another one, made where it is missing.

    No symbolic link is followed: the Space may have put one there, and this process may still be root on the host.
    """
    current = os.dup(root)
    try:
        for name in filter(None, path.split("/")):
            with suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=current)
            inner = os.open(name, _FOLDER, dir_fd=current)
            os.close(current)
            current = inner
        yield current
    finally:
        os.close(current)


@contextmanager
def _file(folder: int, name: str) -> Iterator[int]:
    """A file, made if it is missing, to be mounted over."""
    with suppress(FileExistsError):
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder))
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
