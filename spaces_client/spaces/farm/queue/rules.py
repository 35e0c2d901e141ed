"""The numbers by which the farm ranks, refuses and recovers. Every process of a farm must use the same.

An operator changes most of them in `farm.toml`: see `settings.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from spaces.farm.queue.estimates import EstimateRules
from spaces.farm.queue.limits import Limits
from spaces.farm.queue.settings_file.front_tables import HomeRules, PrivacyRules
from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces.farm.queue.settings_file.tiers import QuotaRules


@dataclass(frozen=True, slots=True)
class SpaceRules:
    """The operator's settings for one Space."""

    fork: bool | None = None  #: whether its children are forks; None: its zygote decides
    idle_after: float | None = None  #: as `after` of [idle], for this Space; None: as for others
    preload: bool = True  #: whether it may start as a fork of a process that has imported its libraries
    pin: bool = False  #: whether its child leaves a GPU only for a task that could not begin otherwise
    group: str = ""  #: Spaces of one group do not evict each other, with the same exception; empty: of none
    root_path: str = ""  #: the path at which a proxy of the operator's shows its page; empty: none does
    source: str = ""  #: where its files come from; empty: the operator adds it otherwise
    env: Mapping[str, str] = field(default_factory=dict)  #: variables of its processes
    secrets: str = ""  #: a file with more of them, which only the farm's user can read
    max_gpus: int | None = None  #: most tasks of it that run at once; None: no limit
    size: str = ""  #: the size of GPU for its functions that name none; empty: large
    priority: float = 0.0  #: seconds of waiting that its tasks are given ahead


@dataclass(frozen=True, slots=True)
class IsolationRules:
    """How Spaces are separated from each other and from the farm: see docs/isolation.md."""

    level: str = ""  #: the level of separation that must be had; empty: the best that the host can give
    first_uid: int = 60600  #: the first of the users for Spaces; systemd and distributions use none of them
    uids: int = 500  #: the number of those users
    memory: float = 0.75  #: share of the host's memory that the processes of one Space may hold together
    processes: int = 4096  #: most processes of one Space, threads counted
    cpus: float = 0.0  #: cores that one Space may use; 0: all, shared evenly
    hub_cache: str = "own"  #: `own`: each Space has a cache of the Hub; `shared`: all read the operator's
    readable: tuple[str, ...] = ()  #: more paths of the host that every Space sees
    writable: tuple[str, ...] = ()  #: the same, to write to

    @property
    def users(self) -> range:
        """The users that Spaces may get."""
        return range(self.first_uid, self.first_uid + self.uids)


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """How the Spaces of a worker share the memory of its device. Sizes are in GB of 10**9 bytes."""

    sleep: Literal["auto", "on", "off"] = "auto"  #: whether a child that makes room sleeps; `auto`: on a tried GPU
    host_gb: float = math.inf  #: memory of the host for each worker's sleepers; see docs/memory.md
    pinned_gb: float = math.inf  #: the part of that memory that may be pinned
    share: Literal["farm", "group", "space"] = "farm"  #: which Spaces' sleepers keep the same bytes once
    stand_in_gb: float = 8.0  #: the memory of a CPU stand-in whose children sleep
    stand_in_gb_per_second: float = 1.0  #: the speed of that stand-in's bus


@dataclass(frozen=True, slots=True)
class IdleRules:
    """When a Space that nobody uses gives up its processes, until somebody comes."""

    after: float = 48 * 3600  #: seconds without a visitor or a task
    memory: float = 0.05  #: share of the host's memory; while less is available, the longest unused Space is stopped


@dataclass(frozen=True, slots=True)
class FileRules:
    """How long a page keeps files of its visitors: uploads, and results that it has shown."""

    keep: float = 24 * 3600  #: seconds after their last use


@dataclass(frozen=True, slots=True)
class Rules:
    """How tasks are ranked and limited, and when a worker or web process counts as dead."""

    rank: EstimateRules = field(default_factory=EstimateRules)
    limits: Limits = field(default_factory=Limits)
    quota: QuotaRules = field(default_factory=QuotaRules)
    home: HomeRules = field(default_factory=HomeRules)
    privacy: PrivacyRules = field(default_factory=PrivacyRules)
    login: LoginRules = field(default_factory=LoginRules)
    isolation: IsolationRules = field(default_factory=IsolationRules)
    memory: MemoryRules = field(default_factory=MemoryRules)
    idle: IdleRules = field(default_factory=IdleRules)
    files: FileRules = field(default_factory=FileRules)
    spaces: Mapping[str, SpaceRules] = field(default_factory=dict)  #: by name
    worker_lease: float = 5.0  #: seconds without a beat after which a worker's tasks go to others
    client_lease: float = 15.0  #: the same for a web process; importing a model may block its threads for long
    worker_beat: float = 1.0  #: seconds between two beats of a worker
    client_beat: float = 2.0  #: seconds between two beats of a web process
    away: float = 2.5  #: seconds without any beat after which the broker, not every process, must have been away
    attempts: int = 3  #: workers that may die with a task, or fail to begin it, before it ends
    hold: float = 0.25  #: most seconds for which an idle worker leaves a task to another that would begin it sooner
