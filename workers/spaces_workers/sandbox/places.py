"""The parts of the host that a Space sees: programs and libraries, its own folders, and nothing that it did not need.

Everything else is not there: the state directory, the sources of other Spaces, the homes of users.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from spaces.farm.queue.rules import IsolationRules
from spaces.source import Source
from spaces_workers.sandbox.description import Kind, Place
from spaces_workers.sandbox.space_folders import CACHES, SpaceFolders

#: Programs and libraries of the host. Secrets among them are readable by root alone, as everywhere.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/sys")

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

#: Devices by which a process reaches a GPU.
GPU_DEVICES = ("nvidia*", "dri/render*", "kfd")

_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}

#: The parts of the Hub's cache that have no secret; a token lies beside them.
_HUB_PARTS = ("hub", "datasets", "xet", "assets", "modules")


def places(
    source: Source, folders: SpaceFolders, python: Path, rules: IsolationRules, *, gpus: bool, hides_processes: bool
) -> list[Place]:
    """The places of a process of a Space, those above others first.

    Without `hides_processes` it sees those of others in /proc, but may not look into them.
    """
    found = {
        place.path: place
        for place in (
            *_system(),
            Place("/proc", Kind.PROC) if hides_processes else Place("/proc", Kind.HOST, "/proc", writable=True),
            *_devices(gpus),
            *_writable(folders),
            *_packages(python, folders),
            *_hub(rules),
            *_of_source(source, folders),
            *(Place(path, Kind.HOST, path) for path in rules.readable if os.path.exists(path)),
            *(Place(path, Kind.HOST, path, writable=True) for path in rules.writable if os.path.exists(path)),
        )
    }
    return sorted(found.values(), key=lambda place: place.path.count("/"))


def shown(path: Path, *, writable: bool = False) -> Place:
    """A file or folder of the farm at its own path, as if it belonged to the Space."""
    return Place(str(path), Kind.OWN, str(path), writable)


def _system() -> Iterator[Place]:
    for path in SYSTEM:
        if os.path.islink(path):
            yield Place(path, Kind.LINK, os.readlink(path))
        elif os.path.isdir(path):
            yield Place(path, Kind.HOST, path)
    resolver = os.path.realpath("/etc/resolv.conf")
    if os.path.isfile(resolver) and not resolver.startswith("/etc/"):
        yield Place(resolver, Kind.HOST, resolver)


def _devices(gpus: bool) -> Iterator[Place]:
    yield Place("/dev", Kind.EMPTY)
    yield Place("/dev/shm", Kind.EMPTY, writable=True)
    for name in DEVICES:
        yield Place(f"/dev/{name}", Kind.DEVICE, f"/dev/{name}")
    for name, target in _DEVICE_LINKS.items():
        yield Place(f"/dev/{name}", Kind.LINK, target)
    for pattern in GPU_DEVICES if gpus else ():
        for path in map(str, Path("/dev").glob(pattern)):
            yield Place(path, Kind.HOST if os.path.isdir(path) else Kind.DEVICE, path)


def _writable(folders: SpaceFolders) -> Iterator[Place]:
    home = os.environ.get("HOME") or str(Path.home())
    yield Place(home, Kind.HOST, str(folders.home), writable=True)
    for name in CACHES:
        path = os.environ.get(name, "").rstrip("/")
        if os.path.isabs(path) and not _is_within(path, (home,)):
            yield Place(path, Kind.HOST, str(folders.caches / name), writable=True)
    for path in {"/tmp", "/var/tmp", os.environ.get("TMPDIR", "/tmp").rstrip("/")}:
        yield Place(path, Kind.HOST, str(folders.temporary), writable=True)
    yield Place(str(folders.state), Kind.HOST, str(folders.state), writable=True)


def _packages(python: Path, folders: SpaceFolders) -> Iterator[Place]:
    """The interpreters and the folders of packages of the farm, read only; those of the Space's own are in its folders.

    Also of an environment that the Space's host has elsewhere, such as one that a worker has made.
    """
    root = python.parent.parent
    wanted = [sys.prefix, sys.base_prefix, str(root), *_bases(root), *filter(os.path.isabs, sys.path)]
    for path in _outermost(path for path in wanted if os.path.isdir(path)):
        if not _is_within(os.path.realpath(path), (*SYSTEM, str(folders.state))):
            yield Place(path, Kind.OWN, path)


def _bases(root: Path) -> Iterator[str]:
    """The installation of Python that a virtual environment leads to."""
    link = root / "bin" / "python"
    if link.is_symlink():
        yield str(link.resolve().parent.parent)


def _hub(rules: IsolationRules) -> Iterator[Place]:
    """The operator's cache of the Hub, read only; without it a Space has one in its home."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    cache = Path(os.environ.get("HF_HOME") or default)
    if rules.hub_cache == "shared":
        for part in _HUB_PARTS:
            if (cache / part).is_dir():
                yield shown(cache / part)


def _of_source(source: Source, folders: SpaceFolders) -> Iterator[Place]:
    """The Space's folder; for a script that is a Space by itself a folder of its own, with that script in it."""
    if source.alone:
        yield Place(str(source.root), Kind.HOST, str(folders.beside), writable=True)
        yield shown(source.app_file)
    else:
        yield shown(source.root, writable=True)


def _outermost(paths: Iterable[str]) -> list[str]:
    """Without those that lie in others."""
    found: list[str] = []
    for path in sorted({os.path.normpath(path) for path in paths}):
        if not _is_within(path, found):
            found.append(path)
    return found


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def is_socket(path: Path) -> bool:
    """Whether a unix socket is there."""
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
