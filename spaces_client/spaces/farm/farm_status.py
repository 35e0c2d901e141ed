"""The status of a farm at one moment: its workers, queues, Spaces and tasks, for `zerofarm status` and the home page.

The arguments of tasks are left out, because a visitor of the home page must not see those of other visitors. As JSON
it has the form of `asdict`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

from spaces.farm.page_addresses import Page

T = TypeVar("T")

#: The level of a resident that is ready for its next task.
ON_DEVICE = "on the device"

#: A status, or a part of it, as JSON has it.
Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SpaceTerms:
    """How a Space takes part in the queue."""

    paused: bool = False
    max_gpus: int | None = None  #: tasks that may run at once; None: no limit
    priority: float = 0.0  #: seconds of waiting that its tasks are given ahead
    pinned: bool = False  #: it keeps its room on a GPU; in a status also if `farm.toml` says so


@dataclass(frozen=True, slots=True)
class ResidentStatus:
    """A Space with a child on a worker, which runs a task or waits for the next one."""

    space: str
    level: str  #: ON_DEVICE, "asleep, pinned" or "asleep"
    held_bytes: int  #: of the device
    host_bytes: int  #: of the host, with the weights of a sleeper


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A live worker."""

    name: str
    host: str
    pid: int
    device: str
    sizes: tuple[str, ...]
    memory_bytes: int
    held_bytes: int  #: held by children; for a child that runs a task, the bytes before that task
    busy: tuple[str, ...]  #: labels of the tasks that it runs
    warm: tuple[str, ...]  #: Spaces whose children wait for the next task
    done: int
    residents: tuple[ResidentStatus, ...] = ()  #: Spaces with a child there, with the level and memory of each
    drained: bool = False  #: it takes no task
    uuid: str = ""  #: of the device, as the driver has it
    utilization_percent: int | None = None  #: None: not known
    temperature_celsius: int | None = None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The queue of one size."""

    size: str
    waiting: int
    expected_wait: float | None  #: seconds until all its tasks have begun; None while no live worker serves the size


@dataclass(frozen=True, slots=True)
class Refusals:
    """Tasks that one limit has refused, or ended, in the last weeks."""

    limit: str  #: as in `farm.toml`; `size`: no live worker served it
    tasks: int


@dataclass(frozen=True, slots=True)
class SpaceStatus:
    """A Space that the farm knows or starts."""

    name: str
    functions: tuple[str, ...]
    waiting: int
    running: int
    expected_wait: float | None  #: seconds until a new task begins; None while no live worker can run it
    page: Page | None  #: None if another program serves it
    served: bool = True  #: somebody serves its page; else only programs can use it, until it is forgotten
    terms: SpaceTerms = field(default_factory=SpaceTerms)  #: how its tasks take part in the queue
    waiting_by_size: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task. Times are the broker's, in seconds since the epoch."""

    id: str
    label: str
    space: str
    state: str
    worker: str
    position: int | None
    enqueued_at: float
    started_at: float | None
    ended_at: float | None
    time_limit: float
    size: str = ""

    @property
    def changed_at(self) -> float:
        """When it entered its state."""
        return self.ended_at or self.started_at or self.enqueued_at


@dataclass(frozen=True, slots=True)
class FarmStatus:
    """The farm at one moment."""

    now: float  #: the broker's time
    home: str
    flower: str
    workers: tuple[WorkerStatus, ...]
    queues: tuple[QueueStatus, ...]
    refusals: tuple[Refusals, ...]  #: of the limits that refused any
    spaces: tuple[SpaceStatus, ...]
    tasks: tuple[TaskStatus, ...]  #: running, then waiting in order, then ended, the latest first
    separation: str = ""  #: the level that separates Spaces


def from_json(told: Json) -> FarmStatus:
    """The status that was told as JSON. Fields of a newer version are ignored; those with a default may be missing.

    Raises KeyError or TypeError for another form.
    """
    return _made(
        FarmStatus,
        told,
        workers=tuple(map(_worker, told["workers"])),
        queues=_all(QueueStatus, told["queues"]),
        refusals=_all(Refusals, told["refusals"]),
        spaces=tuple(map(_space, told["spaces"])),
        tasks=_all(TaskStatus, told["tasks"]),
    )


def _worker(told: Json) -> WorkerStatus:
    return _made(WorkerStatus, told, residents=_all(ResidentStatus, told.get("residents", ())))


def _space(told: Json) -> SpaceStatus:
    page = _made(Page, told["page"]) if told["page"] else None
    return _made(SpaceStatus, told, page=page, terms=_made(SpaceTerms, told.get("terms", {})))


def _all(cls: type[T], told: Iterable[Json]) -> tuple[T, ...]:
    return tuple(_made(cls, each) for each in told)


def _made(cls: type[T], told: Json, **parts: object) -> T:
    names = [each.name for each in fields(cls) if each.name in told]  # type: ignore[arg-type] # a dataclass
    values = {name: tuple(told[name]) if isinstance(told[name], list) else told[name] for name in names}
    return cls(**values | parts)
