"""What a worker has to work with: its device, the broker, the zygotes of its host, and the children that are warm."""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from spaces.config import Config
from spaces.errors import RefusedError, SpacesError
from spaces.farm.blobs import BrokerStore, SharedMemoryStore, move
from spaces.farm.events import Event, Failed, Succeeded, Yielded
from spaces.farm.keys import WAITING
from spaces.farm.payload import Payload
from spaces.farm.queue import Queue
from spaces.farm.registry import Registry, SpaceRecord
from spaces.farm.signing import derive_space_key
from spaces.farm.task import Lease, Task
from spaces.farm.writer import EventWriter
from spaces.source import Source, unpack
from spaces_workers.children import Child, Zygotes
from spaces_workers.gpu import Device
from spaces_workers.messages import ZygoteSpec
from spaces_workers.residency import Residency
from spaces_workers.swap_costs import Level

E = TypeVar("E", bound=Event)


class Workplace:
    """Shared by the runs of one worker."""

    def __init__(
        self,
        config: Config,
        queue: Queue,
        registry: Registry,
        device: Device,
        *,
        farm_key: bytes,
        state_dir: Path,
        zygotes: Zygotes,
        residency: Residency,
        memory_fraction: float = 1.0,
    ) -> None:
        self.config = config
        self.queue = queue
        self.registry = registry
        self.device = device
        self.zygotes = zygotes
        self.residency = residency
        self._farm_key = farm_key
        self._sources = state_dir / "sources"
        self._memory_fraction = memory_fraction
        self._files = SharedMemoryStore(config.run_dir, config.host)
        self._broker = BrokerStore(queue.redis, WAITING, queue.keys.blob)

    @property
    def device_name(self) -> str:
        """For people: `NVIDIA H200`, `CPU stand-in`."""
        return self.device.name

    def child_for(self, task: Task) -> Child:
        """A child that can run this task: the warm one, or a new one after making room.

        Raises RefusedError for a Space that nobody serves any more, SpacesError for one whose script fails.
        """
        spec = self.spec_of(self.record_of(task.space, task.revision))
        warm = self.residency.take(spec)
        if warm is not None:
            return warm
        self.residency.make_room()
        level = Level.HOST if self.zygotes.knows(spec) else Level.UNSEEN
        with self.residency.measured(task.space, level):
            return self.zygotes.fork(spec, self.device.visible_devices, self._memory_fraction)

    def spec_of(self, record: SpaceRecord) -> ZygoteSpec:
        """What the nursery must know to make this Space's zygote on this host."""
        return ZygoteSpec(
            space=record.name,
            revision=record.revision,
            app_file=str(self._source_of(record).app_file),
            python=record.python if Path(record.python).exists() else sys.executable,
            key=derive_space_key(self._farm_key, record.name),
            calls=record.calls,
        )

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - the workplace lives as long as its process
    def record_of(self, space: str, revision: str) -> SpaceRecord:
        """The record of a Space; one revision's never changes."""
        return self.registry.find(space, revision)

    def writer(self, lease: Lease) -> EventWriter:
        """Writes the events of one run."""
        return EventWriter(self.queue, lease)

    def fetched(self, payload: Payload) -> Payload:
        """The same payload where a child of this host can read it: children have no broker."""
        if payload.blob is None or (payload.blob.place == "file" and payload.blob.host == self.config.host):
            return payload
        if payload.blob.place == "file":
            raise SpacesError(
                f"the task's arguments are in the shared memory of {payload.blob.host!r}, which this worker on "
                f"{self.config.host!r} cannot read"
            )
        return replace(payload, blob=self._files.write(self._broker.read(payload.blob)))

    def forget_fetched(self, payload: Payload, task: Task) -> None:
        """Delete the copy that `fetched` made, if it made one; the original is the caller's."""
        if payload.blob is not None and payload.blob != task.arguments.blob:
            self._files.delete(payload.blob)

    def delivered(self, event: E, task: Task) -> E:
        """The same event with its payload where the task's caller can read it."""
        if task.host == self.config.host:
            return event
        match event:
            case Yielded(value) | Succeeded(value):
                return replace(event, value=self._sent(value))
            case Failed(error=Payload() as error):
                return replace(event, error=self._sent(error))
            case _:
                return event

    def close(self) -> None:
        """End every child; let go of zygotes and broker."""
        self.residency.clear()
        self.zygotes.close()

    def _sent(self, payload: Payload) -> Payload:
        if payload.blob is None or payload.blob.place != "file":
            return payload
        return replace(payload, blob=move(payload.blob, self._files, self._broker))

    def _source_of(self, record: SpaceRecord) -> Source:
        """The Space's files: where they are if this host has them, else unpacked from the archive that travelled."""
        if record.source.app_file.is_file() and (record.host == self.config.host or self._same(record)):
            return record.source
        folder = self._sources / record.digest
        if not folder.is_dir():
            archive = self.registry.archive(record)
            if archive is None:
                raise RefusedError(
                    f"Space {record.name!r} is at {record.app_file} on {record.host!r}, which {self.config.host!r} "
                    "does not have, and it is too large to travel. Put it on a disk that both share"
                )
            self._sources.mkdir(parents=True, exist_ok=True)
            unpack(archive, folder)
        return Source(folder / record.source.app_file.name, record.alone)

    def _same(self, record: SpaceRecord) -> bool:
        return record.source.digest() == record.digest
