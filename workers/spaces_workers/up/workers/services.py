"""The services of a host's workers: the nursery, and each worker on its own device or share of a device."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from spaces import config
from spaces.farm import log_files
from spaces.farm.queue.leases import Leases
from spaces.role import ROLE, URL, Role
from spaces.withheld_variables import without_secrets
from spaces_workers.gpu.plan import PlannedWorker
from spaces_workers.isolation import MODULE
from spaces_workers.nursery import client as nursery
from spaces_workers.up import readiness
from spaces_workers.up.keeper import Service
from spaces_workers.up.process import Command, Process, Steps
from spaces_workers.up.readiness import Probe

#: After TERM the worker finishes its tasks; after QUIT it requeues them; then it is killed.
STOP_WORKER: Steps = ((signal.SIGTERM, 2.5), (signal.SIGQUIT, 1.5))

STOP_NURSERY: Steps = ((signal.SIGTERM, 1.0),)


class Host(Protocol):
    """The options of an operator for the workers of a host."""

    @property
    def workers(self) -> Sequence[PlannedWorker]: ...
    @property
    def workers_per_gpu(self) -> int: ...
    @property
    def state_dir(self) -> Path: ...
    @property
    def run_dir(self) -> Path: ...
    @property
    def farm_key(self) -> bytes: ...


def nursery_of(host: Host) -> Service:
    """The nursery, unless one of this farm runs on this host already."""
    log_dir = log_files.folder_of(host.state_dir)
    socket = nursery.socket_path(host.run_dir, log_dir)
    arguments = of_module("spaces_workers.nursery.server", str(host.run_dir), str(log_dir), "preload")
    return Service(
        "nursery",
        Command(arguments, without_secrets(), log_files.of_process(host.state_dir, "nursery"), STOP_NURSERY),
        probe=lambda _: readiness.listener(socket),
        is_provided=lambda: readiness.listens(socket),
    )


def workers_of(host: Host, url: str, leases: Leases) -> Iterator[Service]:
    """The workers; `url` is the broker's, with their login."""
    environment = environment_of(url, {config.FARM_KEY: host.farm_key.hex()})
    for planned in host.workers:
        yield Service(
            f"worker {planned.name}",
            Command(
                _worker(host, planned),
                environment,
                log_files.of_process(host.state_dir, f"worker-{planned.name}"),
                STOP_WORKER,
            ),
            probe=lambda process: _lease(leases, process),
        )


def environment_of(url: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the farm's own processes: the broker's URL, and no variable of a Space."""
    here = config.current()
    own = {
        ROLE: Role.NONE,
        URL: url,
        config.RUN_DIR: str(here.run_dir),
        config.HOST: here.host,
        "PYTHONUNBUFFERED": "1",
    }
    return without_secrets() | own | dict(more or {})


def of_module(name: str, *arguments: str) -> list[str]:
    """The command line of a module."""
    return [sys.executable, *MODULE, name, *arguments]


def _worker(host: Host, planned: PlannedWorker) -> list[str]:
    return of_module(
        "spaces_workers.cli",
        *("worker", "--supervised", "--name", planned.name, "--gpus", planned.gpus),
        *("--workers-per-gpu", str(host.workers_per_gpu)),
        *("--state-dir", str(host.state_dir), "--run-dir", str(host.run_dir)),
    )


def _lease(leases: Leases, process: Process) -> Probe:
    return readiness.lease(leases, process.pid)
