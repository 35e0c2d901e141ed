"""The device memory of a CPU stand-in: a number of bytes that the processes of its worker take and give back.

The memory of a process that is gone is free again, as with a real driver, also after `kill -9`: each process has a slot
with its pid and start time in a file of the run directory, under a lock that the kernel releases.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The most processes that hold memory of one stand-in at a time.
SLOTS = 256

_SLOT = struct.Struct("QQQ")  # pid, start time, bytes; each is written at once


class OutOfMemoryError(RuntimeError):
    """The stand-in has too little memory left; named like the error of torch, by which errors are judged."""


class StandInMemory:
    """A view of the memory from any process of the host."""

    def __init__(self, file: Path, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, SLOTS * _SLOT.size)
        self._slots = mmap.mmap(self._fd, SLOTS * _SLOT.size)

    @property
    def used_bytes(self) -> int:
        """Bytes that live processes hold."""
        with self._locked():
            return self._used()

    def take(self, size: int) -> None:
        """Take bytes for this process. Raises OutOfMemoryError, and takes none, if they are not there."""
        with self._locked():
            if self._used() + size > self.size_bytes:
                raise OutOfMemoryError(
                    f"CUDA out of memory: {size} bytes were asked of a stand-in that has {self.size_bytes}, "
                    f"{self._used()} of them in use"
                )
            self._hold(self._held() + size)

    def give_back(self, size: int) -> None:
        """Free bytes of this process."""
        with self._locked():
            self._hold(self._held() - size)

    def hold(self, size: int) -> None:
        """Set the bytes that this process holds, whether they are there or not."""
        with self._locked():
            self._hold(size)

    def _used(self) -> int:
        return sum(held for _, held in self._live())

    def _held(self) -> int:
        return next((held for slot, held in self._live() if self._read(slot)[0] == os.getpid()), 0)

    def _hold(self, size: int) -> None:
        live = {self._read(slot)[0]: slot for slot, _ in self._live()}
        free = (slot for slot in range(SLOTS) if slot not in live.values())
        slot = live[os.getpid()] if os.getpid() in live else next(free)
        _SLOT.pack_into(self._slots, slot * _SLOT.size, os.getpid(), started_at(os.getpid()), size)

    def _live(self) -> Iterator[tuple[int, int]]:
        """Slots of live processes, and their bytes."""
        for slot in range(SLOTS):
            pid, started, held = self._read(slot)
            if pid and started_at(pid) == started:
                yield slot, held

    def _read(self, slot: int) -> tuple[int, int, int]:
        return _SLOT.unpack_from(self._slots, slot * _SLOT.size)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A new description: one that a fork has inherited shares its lock.
        fd = os.open(f"/proc/self/fd/{self._fd}", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def started_at(pid: int) -> int:
    """The start time of a process in the kernel's ticks; 0 if it has ended, also if nobody has waited for it yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])
