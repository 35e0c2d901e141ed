"""The operator's choices for a farm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from spaces_workers.broker.server_settings import Listen
from spaces_workers.gpu.plan import PlannedWorker
from spaces_workers.sandbox.plan import Sandboxes
from spaces_workers.setup.served_space import ServedSpace
from spaces_workers.up.door.address import Door
from spaces_workers.up.process import Begun

FLOWER_HOST = "127.0.0.1"  # Flower can stop tasks, so other hosts must not reach it


@dataclass(frozen=True, slots=True)
class FarmOptions:
    """The operator's choices for a farm."""

    spaces: list[ServedSpace]
    workers: list[PlannedWorker]
    workers_per_gpu: int
    host: str  #: where the pages listen
    home_port: int
    next_port: Callable[[], int]  #: for a Space's page
    flower_port: int | None  #: None: no Flower
    url: str | None  #: of the operator's broker; None: the farm's own
    listen: Listen | None  #: where other hosts reach the farm's own broker; None: nowhere
    state_dir: Path
    run_dir: Path
    farm_key: bytes = field(repr=False)
    sandboxes: Sandboxes
    door: Door | None = None  #: before all pages; None: visitors reach each page at its own port
    gateway: tuple[str, int] | None = None  #: where programs and pages of other hosts connect; None: nowhere
    watches: bool = False  #: Spaces are served as their files are saved
    isolate: bool = True  #: Spaces that list requirements get environments of their own
    fork_server: Begun | None = None  #: started already
