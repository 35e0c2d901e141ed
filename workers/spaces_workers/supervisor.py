"""`zerofarm up`: the one owner of every process of a farm on this host.

It starts the broker, the nursery, and then workers, pages and Flower at once; tells when all that can answer does;
starts again what dies; and stops everything on SIGINT or SIGTERM. Its processes are tied to its life as well, so that
nothing is left when it is killed itself.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from typing import Any

from spaces import config
from spaces.errors import SpacesError
from spaces.farm.connection import connect
from spaces.farm.leases import Leases
from spaces.farm.pages import Page, Pages, Serving, pages_path
from spaces.farm.queue import Queue
from spaces_workers.broker_keeper import BrokerKeeper
from spaces_workers.composition import Composition, FarmOptions
from spaces_workers.keeper import Keeper, Service
from spaces_workers.reports import Answering, Failed, Ready, Report, Reporter, Restarting, Starting, Stopped, Stopping

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class FarmFault(SpacesError):
    """The farm cannot be: something that it needs does not start."""


class Supervisor:
    """Runs one farm. Use it once."""

    def __init__(self, options: FarmOptions, reporter: Reporter) -> None:
        self._options = options
        self._reporter = reporter
        self._pages = Pages()
        self._broker = BrokerKeeper(options.state_dir, options.url, self._report)
        self._nursery: list[Keeper] = []
        self._workers: list[Keeper] = []
        self._web: list[Keeper] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Future[None]
        self._stop_asked = False

    async def run(self) -> None:
        """Live until asked to stop, then leave no process. Raises SpacesError where the farm cannot be."""
        loop = asyncio.get_running_loop()
        self._ending = loop.create_future()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._ask_to_stop)
        self._go(self._start())
        try:
            await self._ending
        finally:
            self._reporter(Stopping())
            await self._stop()
            self._reporter(Stopped())

    async def _start(self) -> None:
        broker = await self._broker.start()
        self._go(self._broker.run(broker))
        leases = Queue(connect(broker.url)).leases
        farm = Composition(self._options, broker.url, leases)
        self._nursery = await self._needed([farm.nursery()])
        self._pages = Pages(
            spaces={space.name: Page("", "starting", space.title, space.emoji) for space in self._options.spaces}
        )
        self._workers = self._kept(farm.workers())
        self._web = self._kept([*farm.spaces(), *farm.flower()])
        self._web += await self._needed([farm.home()])
        await _settled(self._workers)
        if not any(worker.answers for worker in self._workers):
            raise FarmFault("no worker could be started; what the first one said stands above")
        await _settled(self._web)
        self._report(self._ready(farm, leases))

    async def _needed(self, services: list[Service]) -> list[Keeper]:
        keepers = self._kept(services)
        await _settled(keepers)
        for keeper in keepers:
            if not keeper.answers:
                raise FarmFault(f"{keeper.service.name} could not be started; see {keeper.service.command.log}")
        return keepers

    def _kept(self, services: Iterable[Service]) -> list[Keeper]:
        keepers = [Keeper(service, self._report) for service in services]
        for keeper in keepers:
            self._go(keeper.run())
        return keepers

    def _ready(self, farm: Composition, leases: Leases) -> Ready:
        told = leases.workers().values()
        ours = {worker.pid for worker in self._workers if worker.answers}
        spaces = self._pages.spaces
        return Ready(
            home=self._pages.home,
            flower=self._pages.flower or None,
            flower_login=farm.made_login if self._pages.flower else None,
            broker=farm.url,
            workers=[{"name": info["node"]} | info for info in told if info.get("pid") in ours],
            spaces={name: page.url for name, page in spaces.items() if page.url},
            failed=[name for name, page in spaces.items() if page.serving == "failed"],
        )

    # --- what happens, told on and written down for the home page

    def _report(self, report: Report) -> None:
        self._reporter(report)
        match report:
            case Answering(name, url):
                self._note(name, url, "serving")
            case Failed(name, traceback=traceback):
                self._note(name, "", "failed", traceback.strip().rpartition("\n")[2])
            case Restarting(name, reason):
                self._note(name, "", "restarting", reason)
            case _:
                pass

    def _note(self, name: str, url: str, serving: Serving, problem: str = "") -> None:
        ...

    # --- the end

    def _ask_to_stop(self) -> None: ...

    async def _stop(self) -> None: ...
