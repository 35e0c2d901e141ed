"""The host memory that the sleepers of each worker of a host take, and the parts of it that they could share.

Each worker writes a file of its own, and reads the files of the others. It deletes the file of a worker that is gone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from spaces.farm import wire
from spaces.farm.wire import BadMessage, message
from spaces_workers.gpu.standin_memory import started_at

#: A process: pid and start time.
Process: TypeAlias = tuple[int, int]


@message
@dataclass(frozen=True, slots=True)
class Segment:
    """Sealed memory that a worker holds for its children."""

    key: bytes
    fd: int  #: the worker's
    size: int


@message
@dataclass(frozen=True, slots=True)
class Listing:
    """The content of one worker's file."""

    own_bytes: int = 0  #: that its children do not share
    segments: tuple[Segment, ...] = ()
    offers: tuple[bytes, ...] = field(default=())  #: keys of the parts that its children could share


class HostListing:
    """The files of one farm's workers on a host, seen by one of them."""

    def __init__(self, run_dir: Path, log_dir: Path) -> None:
        theirs = f"{os.readlink('/proc/self/ns/pid')} {log_dir.resolve()}"  # pids differ between namespaces
        self._folder = run_dir / f"copies-{hashlib.sha256(theirs.encode()).hexdigest()[:10]}"
        self._own = f"{os.getpid()}-{started_at(os.getpid())}"
        self._written: Listing | None = None
        self.others: Mapping[Process, Listing] = {}  #: as read last

    @property
    def process(self) -> Process:
        """This worker, for comparisons with the others."""
        return _process(self._own)

    def write(self, own: Listing) -> None:
        """Replace this worker's file."""
        if own != self._written:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            draft = self._folder / f"{self._own}-draft"
            draft.write_bytes(wire.pack(own))
            draft.replace(self._folder / self._own)
            self._written = own

    def read(self) -> None:
        """Read the files of the others, and delete those of workers that are gone."""
        self.others = dict(self._read())

    @property
    def bytes_of_others(self) -> int:
        """Bytes that the children of other workers hold, also those that they share with this worker's children."""
        shared = {each.key: each.size for listing in self.others.values() for each in listing.segments}
        return sum(listing.own_bytes for listing in self.others.values()) + sum(shared.values())

    def _read(self) -> Iterator[tuple[Process, Listing]]:
        for file in self._folder.glob("*-*"):
            process = _process(file.name)
            if started_at(process[0]) != process[1]:
                file.unlink(missing_ok=True)
            elif file.name != self._own and not file.name.endswith("-draft"):
                try:
                    yield process, wire.unpack_as(Listing, file.read_bytes())
                except (OSError, BadMessage):  # it has just left, or is of another version
                    pass


def _process(name: str) -> Process:
    pid, started, *_ = name.split("-")
    return int(pid), int(started)
