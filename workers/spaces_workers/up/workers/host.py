"""Keeps the workers of a host that has joined a farm: their nursery, and a worker on each GPU."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from spaces.errors import SpacesError
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces_workers.gpu.plan import PlannedWorker
from spaces_workers.up import remains
from spaces_workers.up.keeper import Keeper, Service
from spaces_workers.up.reports import Joined, Reporter, Stopped, Stopping
from spaces_workers.up.workers.services import nursery_of, workers_of

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds that a request to the broker may take; callers retry.
BROKER_PATIENCE = 3.0


class WorkersFault(SpacesError):
    """No worker of this host could be started."""


@dataclass(frozen=True, slots=True)
class JoinedHost:
    """The operator's choices for the workers of a host."""

    url: str = field(repr=False)  #: the broker's, with the workers' login
    workers: list[PlannedWorker]
    workers_per_gpu: int
    state_dir: Path
    run_dir: Path
    farm_key: bytes = field(repr=False)


class WorkerHost:
    """Runs the workers of one host. Use it once."""

    def __init__(self, host: JoinedHost, report: Reporter) -> None:
        self._host = host
        self._report = report
        self._keepers: list[Keeper] = []
        self._nursery: list[Keeper] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run until asked to stop, then end every process. Raises WorkersFault if no worker can be started."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._ask_to_stop)
        os.environ[remains.VARIABLE] = remains.of_farm(self._host.state_dir)
        remains.end_remains_of_farm(self._host.state_dir)
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            await stopping
        finally:
            starting.cancel()
            stopping.cancel()
            self._report(Stopping())
            await self._stop()
            self._report(Stopped())

    async def _start(self) -> None:
        self._nursery = self._kept([nursery_of(self._host)])
        await _settled(self._nursery)
        leases = Queue(connect(self._host.url, retry=None, socket_timeout=BROKER_PATIENCE)).leases
        self._keepers = self._kept(workers_of(self._host, self._host.url, leases))
        await _settled(self._keepers)
        if not any(keeper.answers for keeper in self._keepers):
            raise WorkersFault(f"no worker could be started: {self._keepers[0].problem}")
        self._report(Joined([keeper.service.name for keeper in self._keepers if keeper.answers]))

    def _kept(self, services: Iterable[Service]) -> list[Keeper]:
        keepers = [Keeper(service, self._report) for service in services]
        self._tasks += [asyncio.create_task(keeper.run()) for keeper in keepers]
        return keepers

    def _ask_to_stop(self) -> None:
        """Handle a signal: the first stops the workers in order, the second at once."""
        if self._stopping.is_set():
            for keeper in (*self._keepers, *self._nursery):
                keeper.kill()
        self._stopping.set()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers))
        await asyncio.gather(*(keeper.stop() for keeper in self._nursery))
        remains.end_remains_of_farm(self._host.state_dir)


async def _settled(keepers: Iterable[Keeper]) -> None:
    for keeper in keepers:
        await keeper.settled.wait()
