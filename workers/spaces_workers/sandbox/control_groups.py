"""Control groups: the memory, the processes and the processor time that all processes of one Space may take together.

Version 2 where it has the controllers, else version 1: see cgroups(7). A controller that this process may not use sets
no limit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

PERIOD_US = 100_000

CONTROLLERS = ("memory", "pids", "cpu")


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one Space may take of the host."""

    memory_bytes: int
    processes: int
    cpus: float  #: cores; 0: all of them, shared evenly with others


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted hierarchy, and the folder of the farm's groups in it."""

    version: int
    controllers: tuple[str, ...]
    folder: Path


def groups_of(state_dir: Path, space: str, limits: Limits) -> tuple[str, ...]:
    """Make the groups of a Space; returns the files to which its processes write their ids."""
    made = (_made(each, space, limits) for each in hierarchies(state_dir))
    return tuple(str(group / "cgroup.procs") for group in made if group)


def remove(state_dir: Path) -> None:
    """Remove the groups of a farm that have no process."""
    for each in hierarchies(state_dir):
        for group in (*each.folder.glob("*/"), each.folder):
            with suppress(OSError):
                group.rmdir()


def limited(state_dir: Path) -> set[str]:
    """The controllers that can set limits here."""
    return {
        controller
        for each in hierarchies(state_dir)
        for controller in each.controllers
        if os.access(each.folder.parent, os.W_OK) and _mounted_writable(each.folder.parent)
    }


def hierarchies(state_dir: Path) -> Iterator[Hierarchy]:
    """The hierarchies that have a controller of ours; groups lie below the own group of this process."""
    name = f"zerofarm-{sha256(str(state_dir.resolve()).encode()).hexdigest()[:8]}"
    own = dict(_own_groups())
    for place, kind, root, options in _mounts():
        if kind == "cgroup":
            found = tuple(each for each in CONTROLLERS if each in options)
            if found:
                yield Hierarchy(1, found, _below(place, root, own.get(found[0], "/")) / name)
        elif found := _of_version_2(place):
            yield Hierarchy(2, found, place / name)


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """The memory of a group with a limit."""

    limit_bytes: int
    used_bytes: int  #: without cached files that the kernel would drop first


#: Of a version: the files with limit and usage, and the word in `memory.stat` for cached files not used lately.
_MEMORY = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


def memory_of_own_groups() -> Iterator[GroupMemory]:
    """The memory of the group of this process and of those above it, as far as they have limits and are shown here."""
    own = dict(_own_groups())
    for place, kind, root, options in _mounts():
        version, name = (2, "") if kind == "cgroup2" else (1, "memory")
        if version == 2 or name in options:
            folder = _below(place, root, own.get(name, "/"))
            for group in (each for each in (folder, *folder.parents) if each.is_relative_to(place)):
                with suppress(OSError, ValueError):  # the topmost has no limit, and others may say `max`
                    yield _memory_of(group, *_MEMORY[version])


def _memory_of(group: Path, limit: str, usage: str, cached: str) -> GroupMemory:
    counted = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    used = int((group / usage).read_text()) - int(counted.get(cached, 0))
    return GroupMemory(int((group / limit).read_text()), max(0, used))


def _made(hierarchy: Hierarchy, space: str, limits: Limits) -> Path | None:
    group = hierarchy.folder / space
    try:
        group.mkdir(parents=True, exist_ok=True)
        if hierarchy.version == 2:
            _delegate(hierarchy)
        for name, value in _settings(hierarchy, limits):
            (group / name).write_text(value)
    except OSError:
        return None
    return group


def _delegate(hierarchy: Hierarchy) -> None:
    for folder in (hierarchy.folder.parent, hierarchy.folder):
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in hierarchy.controllers))


def _settings(hierarchy: Hierarchy, limits: Limits) -> Iterator[tuple[str, str]]:
    quota = int(limits.cpus * PERIOD_US)
    if "memory" in hierarchy.controllers:
        yield "memory.limit_in_bytes" if hierarchy.version == 1 else "memory.max", str(limits.memory_bytes)
    if "pids" in hierarchy.controllers:
        yield "pids.max", str(limits.processes)
    if "cpu" in hierarchy.controllers:
        if hierarchy.version == 1:
            yield "cpu.cfs_quota_us", str(quota or -1)
        else:
            yield "cpu.max", f"{quota or 'max'} {PERIOD_US}"


def _of_version_2(place: Path) -> tuple[str, ...]:
    with suppress(OSError):
        words = (place / "cgroup.controllers").read_text().split()
        return tuple(each for each in CONTROLLERS if each in words)
    return ()


def _own_groups() -> Iterator[tuple[str, str]]:
    """The group of this process, by controller of version 1."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounts() -> Iterator[tuple[Path, str, str, list[str]]]:
    """Where each hierarchy is mounted, its kind, which group is shown there, its options: proc_pid_mountinfo(5)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        _, _, _, root, place, *_ = before.split()
        kind, _, options = after.split(maxsplit=2)
        if kind in ("cgroup", "cgroup2"):
            yield Path(place), kind, root, options.split(",")


def _below(place: Path, root: str, group: str) -> Path:
    """The folder of a group, where the mount shows the hierarchy from `root` on."""
    shown = os.path.relpath(group, root)
    return place if shown == "." or shown.startswith("..") else place / shown


def _mounted_writable(folder: Path) -> bool:
    return not os.statvfs(folder).f_flag & os.ST_RDONLY
