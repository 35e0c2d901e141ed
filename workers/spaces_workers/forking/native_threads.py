"""The native threads of this process, and the library that each one runs.

Few libraries name their threads. Others are identified by the return addresses on their stacks: the innermost address
in an installed package belongs to the package whose code waits there.
"""

from __future__ import annotations

import os
import struct
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Bytes of a stack that are searched, from its top. A thread that waits for work uses fewer.
STACK_BYTES = 16 << 10

#: Number of the system call `futex` by machine; Linux has one table for each.
_FUTEX = {"x86_64": "202", "aarch64": "98"}.get(os.uname().machine, "")

_PACKAGES = ("/site-packages/", "/dist-packages/")


@dataclass(frozen=True, slots=True)
class NativeThread:
    """A thread of this process that was not started by Python."""

    thread_id: int
    name: str
    package: str  #: the installed package whose code it runs, such as `polars`; empty if unknown


def native_threads() -> list[NativeThread]:
    """All native threads of this process."""
    of_python = {thread.native_id for thread in threading.enumerate()}
    of_python.add(os.getpid())  # of the main thread: in a fork, `threading` has the id of its parent's
    mappings = _Mappings()
    found = []
    for thread_id in map(int, os.listdir("/proc/self/task")):
        if thread_id not in of_python and (name := _read(thread_id, "comm")):
            found.append(NativeThread(thread_id, name.strip(), mappings.package_of(thread_id)))
    return found


def waits_for_another(thread_id: int) -> bool:
    """Whether a thread of this process waits for another one: on a lock, and without a timeout."""
    number, *arguments = _read(thread_id, "syscall").split() or [""]
    return bool(_FUTEX) and number == _FUTEX and len(arguments) > 3 and int(arguments[3], 16) == 0


def innermost_packages(thread_id: int) -> list[str]:
    """The installed packages whose code is on a thread's stack, the innermost first; none if unknown."""
    return list(dict.fromkeys(_Mappings().packages_of(thread_id)))


class _Mappings:
    """The addresses of the code of installed packages in this process's memory."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._packages: list[str] = []
        for line in Path("/proc/self/maps").read_text().splitlines():
            addresses, flags, _, _, _, *path = line.split(maxsplit=5)
            if "x" in flags and path and (package := package_of_file(path[0])):
                start, _, end = addresses.partition("-")
                self._starts.append(int(start, 16))
                self._ends.append(int(end, 16))
                self._packages.append(package)

    def package_of(self, thread_id: int) -> str:
        return next(self.packages_of(thread_id), "")

    def packages_of(self, thread_id: int) -> Iterator[str]:
        for address in _stack_of(thread_id):
            place = bisect_right(self._starts, address) - 1
            if place >= 0 and address < self._ends[place]:
                yield self._packages[place]


def package_of_file(path: str) -> str:
    """The installed package of a shared object; empty for one of the system or of Python."""
    for folder in _PACKAGES:
        _, found, rest = path.partition(folder)
        if found:
            return rest.split("/")[0].removesuffix(".libs").split(".")[0]
    return ""


def _stack_of(thread_id: int) -> tuple[int, ...]:
    """The machine words on the stack of a sleeping thread, the innermost first."""
    fields = _read(thread_id, "syscall").split()
    if len(fields) < 3:
        return ()  # it runs
    try:
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            data = os.pread(memory.fileno(), STACK_BYTES, int(fields[-2], 16))
    except OSError:
        return ()
    return struct.unpack(f"={len(data) // 8}Q", data[: len(data) // 8 * 8])


def _read(thread_id: int, name: str) -> str:
    try:
        return Path(f"/proc/self/task/{thread_id}/{name}").read_text()
    except OSError:
        return ""  # it has ended, or the system does not show it
