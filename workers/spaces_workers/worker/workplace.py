"""The means of a worker: its device, the broker, the zygotes of its host, and its warm children."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias, assert_never

from spaces.config import Config
from spaces.errors import RefusedError
from spaces.farm.payloads.broker_store import BrokerStore
from spaces.farm.payloads.payload import Payload
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.queue import settings
from spaces.farm.queue.keys import PAYLOAD
from spaces.farm.queue.queue import Ended, Queue
from spaces.farm.queue.registry import Registry, SpaceRecord
from spaces.farm.stream.unread import payloads_of
from spaces.farm.stream.writer import EventWriter
from spaces.farm.task import LOAD, Lease, Task
from spaces.farm.values.signing import derive_space_key
from spaces.source import Source, unpack
from spaces_workers import isolation
from spaces_workers.gpu import probe as device_probe
from spaces_workers.gpu.devices import Device
from spaces_workers.isolation.build_log import BuildLog
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.link.messages import Fork, StandIn, ZygoteSpec
from spaces_workers.sandbox import users
from spaces_workers.sandbox.description import Level
from spaces_workers.worker.carrier import Carrier
from spaces_workers.worker.child_link import ChildLink, UnfitChild
from spaces_workers.worker.gpu_memory import swap_costs
from spaces_workers.worker.gpu_memory.prefetch import Prefetch
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.sleepers import level_of, wake, weights_of
from spaces_workers.worker.run.alarms import Alarms
from spaces_workers.worker.run.attendants import Attendants
from spaces_workers.worker.zygote_links import Zygotes

logger = logging.getLogger(__name__)

#: Makes room for a child of a Space that has so many bytes of weights.
MakeRoom: TypeAlias = Callable[[ZygoteSpec, int], None]


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
        level: Level = Level.NONE,
        stand_in: StandIn | None = None,
    ) -> None:
        separated = level is Level.USERS
        self.config = config
        self.queue = queue
        self.registry = registry
        self.device = device
        self.zygotes = zygotes
        self.residency = residency
        self.prefetch = Prefetch(residency)
        self.alarms = Alarms()
        self.attendants = Attendants()
        self.device_lost = False
        self._farm_key = farm_key
        self._state_dir = state_dir
        self._unpacked = state_dir / "unpacked"
        self._specs: dict[tuple[str, str], ZygoteSpec] = {}  #: of Spaces that ran here, by name and revision
        self._fork = Fork(device.visible_devices, memory_fraction, stand_in)
        self.carrier = Carrier(
            config.host,
            SharedMemoryStore(config.run_dir, config.host, owners=users.possible() if separated else ()),
            BrokerStore(queue.redis, PAYLOAD, queue.keys.blob),
            (lambda space: users.uid_of(state_dir, space)) if separated else lambda _: None,
        )

    def child_for(self, task: Task) -> ChildLink:
        """A child that can run this task: a warm one, or a new one after making room.

        Raises RefusedError for a Space that is not served any more, SpacesError if its script fails, UnfitChild if
        its child cannot take the device.
        """
        spec = self.spec_of(self.record_of(task.space, task.revision))
        self._specs[task.space, task.revision] = spec
        with self.prefetch.halted(task.space):
            return self._loaded(spec) if task.function == LOAD else self._child_for(spec)

    def _child_for(self, spec: ZygoteSpec) -> ChildLink:
        warm = self.residency.take(spec)
        if warm is not None and self._is_ready(warm, self._make_ready):
            return warm
        with self.residency.measured(spec.space, self._level_of(spec)):
            try:
                return self._new_child(spec, self.residency.make_room_for_new)
            except UnfitChild as unfit:
                if not unfit.out_of_memory:
                    raise
                self.residency.learn_shortage(spec)
                return self._new_child(spec, self.residency.make_room_for_new)

    def _loaded(self, spec: ZygoteSpec) -> ChildLink:
        """A child for no function: others make room for its weights alone, and none that is spared.

        A lack of memory is an error, which says nothing of the memory that the Space's functions need.
        """
        self.residency.check_room(spec.space, self.zygotes.weights_bytes(spec))
        warm = self.residency.take(spec)
        if warm is not None and self._is_ready(warm, self._load_awake):
            return warm
        with self.residency.measured(spec.space, self._level_of(spec)):
            return self._new_child(spec, self.residency.make_room_for_weights)

    def _level_of(self, spec: ZygoteSpec) -> swap_costs.Level:
        return swap_costs.Level.HOST if self.zygotes.knows(spec) else swap_costs.Level.UNSEEN

    def ready_child_for(self, task: Task) -> ChildLink | None:
        """A warm child that can run this task without making room, if that is known without asking anybody."""
        spec = self._specs.get((task.space, task.revision))
        return None if spec is None else self.residency.take_ready(spec)

    def _make_ready(self, warm: ChildLink) -> None:
        """Make room for a warm child's next task, and wake it if it sleeps."""
        self.residency.make_room_for(warm)
        if warm.sleep is not None:
            with self.residency.measured(warm.spec.space, level_of(warm)):
                wake(warm, self.residency)

    def _load_awake(self, warm: ChildLink) -> None:
        """Make room for a warm child's weights, and wake it if it sleeps. None is evicted if the device is full."""
        self.residency.make_room_for_weights(warm.spec, weights_of(warm), warm.memory.held_bytes)
        if warm.sleep is not None:
            with self.residency.measured(warm.spec.space, level_of(warm)):
                warm.wake(keep=True)

    def _is_ready(self, warm: ChildLink, make_ready: Callable[[ChildLink], None]) -> bool:
        """Whether a warm child is ready now. One that does not wake is discarded."""
        try:
            make_ready(warm)
        except (UnfitChild, ChannelClosed, TimeoutError) as error:
            logger.warning("the child of Space %s did not wake, a new one replaces it: %s", warm.spec.space, error)
            warm.discard()
            return False
        except BaseException:
            warm.discard()  # no other object has a reference to it
            raise
        return True

    def _new_child(self, spec: ZygoteSpec, make_room: MakeRoom) -> ChildLink:
        make_room(spec, self.zygotes.weights_bytes(spec))
        return self.zygotes.fork(spec, self._fork)

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - the workplace lives as long as its process
    def spec_of(self, record: SpaceRecord) -> ZygoteSpec:
        """The specification by which the nursery makes this Space's zygote on this host."""
        return ZygoteSpec(
            space=record.name,
            revision=record.revision,
            app_file=str(self._source_of(record).app_file),
            python=str(self._python_of(record)),
            key=derive_space_key(self._farm_key, record.name),
            forks=settings.of_space(record.name).fork,
            calls=record.calls,
        )

    def _python_of(self, record: SpaceRecord) -> Path:
        """The interpreter of the web process, or an equivalent one on this host."""
        if Path(record.python).exists():
            return Path(record.python)
        if not record.isolated:
            return Path(sys.executable)
        log = BuildLog(self._state_dir, record.name).beside(logger.info)
        return isolation.prepare(self._source_of(record), self._state_dir, log, name=record.name).python

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - the workplace lives as long as its process
    def record_of(self, space: str, revision: str) -> SpaceRecord:
        """The record of a Space; the record of a revision never changes."""
        return self.registry.find(space, revision)

    def lost_device(self) -> bool:
        """Whether no child of any Space could take the device. If so the worker exits, before it fails more tasks."""
        problem = device_probe.problem_of(self.device)
        if not problem:
            return False
        logger.critical("%s cannot be used any more: %s. This worker exits", self.device.description, problem)
        self.device_lost = True
        os.kill(os.getpid(), signal.SIGTERM)  # Celery's warm shutdown
        return True

    def clear(self, task: Task, ended: Ended) -> None:
        """Delete the arguments of a task that has ended, and all that it said if nobody reads it."""
        unread: Iterable[Payload]
        match ended:
            case Ended.UNREAD:
                unread = payloads_of(self.queue, task)
            case Ended.READ:
                unread = [task.arguments]
            case Ended.NOT | Ended.WAITS:  # another worker reads the arguments
                unread = []
            case _:
                assert_never(ended)
        for payload in unread:
            self.carrier.discard(payload)

    def writer(self, lease: Lease) -> EventWriter:
        """The writer of one run's events."""
        return EventWriter(self.queue, lease)

    def close(self) -> None:
        """Kill every child and disconnect from the zygotes."""
        self.residency.clear()
        self.zygotes.close()

    def _source_of(self, record: SpaceRecord) -> Source:
        """The Space's files: in place if this host has them, else unpacked from the archive in the broker."""
        if record.source.app_file.is_file() and (record.host == self.config.host or self._same(record)):
            return record.source
        archive = self.registry.archive(record)
        if archive is None:
            raise RefusedError(
                f"Space {record.name!r} is at {record.app_file} on {record.host!r}, which {self.config.host!r} "
                "does not have, and it is too large to send. Put it on a disk that both share"
            )
        problem: OSError | None = None
        for folder in (record.source.root, self._unpacked / f"{record.name}-{record.digest}"):
            if folder.is_dir() and folder == record.source.root:
                continue  # another revision, or other files of this host
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
                unpack(archive, folder)
            except OSError as error:
                problem = error
                logger.debug("the files of Space %s are not unpacked at %s: %s", record.name, folder, error)
                continue
            script = record.source.app_file.relative_to(record.source.root)
            return Source(folder / script, record.alone, folder)
        raise RefusedError(
            f"the files of Space {record.name!r} cannot be unpacked: {self._unpacked} cannot be written: {problem}"
        )

    def _same(self, record: SpaceRecord) -> bool:
        return record.source.digest() == record.digest
