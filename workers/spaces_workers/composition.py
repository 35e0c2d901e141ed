"""What a farm consists of on this host: each process with its command line, its environment and its sign of life."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spaces import config
from spaces.config import Role
from spaces.farm.leases import Leases
from spaces.farm.pages import pages_path
from spaces.farm.signing import derive_space_key
from spaces_workers import environment, nursery, readiness
from spaces_workers.keeper import Service
from spaces_workers.processes import TERMINATE, Command, Process, Steps
from spaces_workers.served_space import ServedSpace
from spaces_workers.worker_plan import PlannedWorker

#: What a worker runs may end; then it gives its tasks back; then it is killed.
STOP_WORKER: Steps = ((signal.SIGTERM, 2.5), (signal.SIGQUIT, 1.5))

STOP_NURSERY: Steps = ((signal.SIGTERM, 1.0),)

FLOWER_LOGIN = "FLOWER_BASIC_AUTH"


@dataclass(frozen=True, slots=True)
class FarmOptions:
    """What the operator decides for a farm."""

    spaces: list[ServedSpace]
    workers: list[PlannedWorker]
    workers_per_gpu: int
    host: str
    home_port: int
    space_ports: Mapping[str, int]
    flower_port: int | None  #: None: no Flower
    url: str | None  #: of the operator's broker; None: the farm's own
    state_dir: Path
    run_dir: Path
    farm_key: bytes = field(repr=False)


class Composition:
    """Makes the services of one farm."""

    def __init__(self, options: FarmOptions, url: str, leases: Leases) -> None:
        self.url = url
        self._options = options
        self._leases = leases
        given = os.environ.get(FLOWER_LOGIN)
        #: Flower's login, where it was made here and must be told; None where the operator gave one.
        self.made_login = None if given else f"zerofarm:{secrets.token_urlsafe(12)}"
        self._flower_login = given or str(self.made_login)

    def nursery(self) -> Service:
        """The maker of zygotes, unless this host has one."""
        socket = nursery.socket_path(self._options.run_dir)
        log_dir = str(self._options.state_dir / "logs")
        command = self._module("nursery", "spaces_workers.nursery", str(self._options.run_dir), log_dir)
        return Service(
            "nursery",
            Command(*command, environment.without_secrets(), self._log("nursery"), STOP_NURSERY),
            probe=lambda _: readiness.listener(socket),
            is_provided=lambda: readiness.listens(socket),
        )

    def workers(self) -> Iterator[Service]:
        """The workers, each on a device, or a share of one, of its own."""
        for planned in self._options.workers:
            name = f"worker {planned.name}"
            yield Service(
                name,
                self._command(name, self._worker_arguments(planned), {config.FARM_KEY: self._options.farm_key.hex()}),
                probe=lambda process: readiness.lease(self._leases, process.pid),
            )

    def spaces(self) -> Iterator[Service]:
        """The web processes of the Spaces."""
        for space in self._options.spaces:
            port = self._options.space_ports[space.name]
            key = derive_space_key(self._options.farm_key, space.name)
            command = Command(
                f"web-{space.name}",
                [sys.executable, "-m", "spaces.script", str(space.app_file)],
                environment.of_web(space.name, self.url, key, (self._options.host, port)),
                self._log(f"web-{space.name}"),
            )
            yield Service(f"Space {space.name}", command, self._page(port), self._url(port), space.name)

    def home(self) -> Service:
        """The home page."""
        port = self._options.home_port
        return Service(
        ...
        )
