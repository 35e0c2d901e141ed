"""`zerofarm up`: the one owner of every process of a farm on this host.

It starts the broker and the gateway, then pages as the fork server has their libraries, a few for each core. Meanwhile
home page, nursery, workers and Flower start one after the other: the kernel would take from the fork server's core for
each that starts at once, and the Spaces wait for the fork server.
It reports when all of them answer or have failed, restarts those that die, and stops everything on SIGINT or SIGTERM.
The kernel kills its processes when it is killed itself.
"""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from spaces.errors import SpacesError
from spaces.farm import log_files
from spaces.farm.connection import connect, redacted
from spaces.farm.page_addresses import Pages, pages_path
from spaces.farm.queue import settings
from spaces.farm.queue.control.audit import Audit
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry
from spaces.farm.queue.status import StatusReader
from spaces.space import source_at
from spaces_workers.gateway.place import Gate
from spaces_workers.nursery import roster
from spaces_workers.nursery.roster import Listed
from spaces_workers.up import host_memory, mending, readiness, remains
from spaces_workers.up.beginning.farm_options import FarmOptions
from spaces_workers.up.broker_keeper import BrokerKeeper
from spaces_workers.up.composition import Composition, fork_server_of
from spaces_workers.up.control.actions import Actions
from spaces_workers.up.control.server import ControlServer
from spaces_workers.up.door.lookup import Lookup, Place
from spaces_workers.up.door.service import lookup_path
from spaces_workers.up.hosting.affinity import Request, page_for
from spaces_workers.up.hosting.declared import Declared
from spaces_workers.up.hosting.spaces import HostedSpaces, Means
from spaces_workers.up.hosting.watching import watch
from spaces_workers.up.idleness import Broker, Idleness
from spaces_workers.up.keeper import Keeper, Service
from spaces_workers.up.listed_pages import page_of, url_of
from spaces_workers.up.reports import Note, Ready, Report, Reporter, Stopped, Stopping
from spaces_workers.up.turns import Turns, cores

#: Seconds that a request to the broker may take; callers retry.
BROKER_PATIENCE = 3.0

#: Spaces that start at once, for each core: a start waits about as long as it computes.
STARTS_PER_CORE = 2

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class FarmFault(SpacesError):
    """The farm cannot run: a process that it needs does not start."""


class Supervisor:
    """Runs one farm. Use it once."""

    def __init__(self, options: FarmOptions, reporter: Reporter) -> None:
        self._options = options
        self._reporter = reporter
        self._broker = BrokerKeeper(options.state_dir, options.url, options.listen, self._report)
        self._fork_server: list[Keeper] = []
        self._nursery: list[Keeper] = []
        self._gateway: list[Keeper] = []
        self._workers: list[Keeper] = []
        self._spaces = HostedSpaces(self._means())
        self._flower: list[Keeper] = []
        self._home: list[Keeper] = []
        self._door: list[Keeper] = []
        self._lookup = Lookup(self._place, options.door)
        self._control: ControlServer | None = None
        self._memory: Mapping[str, int] = {}  #: bytes by Space
        self._farm: Composition | None = None
        self._told = ""  #: the last complaint about the file of pages
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Run until asked to stop, then end every process. Raises SpacesError if the farm cannot run."""
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
        self._spaces.plan()
        spaces = self._options.spaces if self._options.watches else []
        watched = [(space, mending.stamp(source_at(space.app_file))) for space in spaces]
        if self._options.fork_server is not None or len(self._spaces.spaces) > 1:
            self._fork_server = self._kept([fork_server_of(self._options)])
        broker = await self._broker.start()
        self._go(self._broker.run(broker))
        leases = Queue(connect(broker.url, retry=None, socket_timeout=BROKER_PATIENCE)).leases
        farm = self._farm = Composition(self._options, broker, leases)
        self._gateway = self._kept([farm.gateway(self._gates)])
        await _needed(self._gateway)
        await _settled(self._fork_server)
        queue = Queue(connect(farm.url, retry=None, socket_timeout=BROKER_PATIENCE))
        keepers = self._spaces.open(farm, Registry(queue.redis))
        self._home = self._kept([farm.home()])
        self._door = self._kept(farm.door())
        if self._door:
            self._lookup.start(lookup_path(self._options.run_dir, self._options.state_dir))
        await _needed(self._home)
        self._nursery = self._kept([farm.nursery()])
        await _needed(self._nursery)
        self._workers = self._kept(farm.workers())
        actions = Actions(self._spaces, queue, pages_path(self._options.state_dir))
        self._control = ControlServer(self._options.state_dir, actions, Audit(queue.redis).note)
        await self._control.start()
        self._go(host_memory.watch(self._processes, self._note_memory))
        self._go(self._idleness(queue).watch())
        await _needed(self._workers)
        if self._door:
            await _needed(self._door)
        self._flower = self._kept(farm.flower())
        await _settled([*keepers, *self._flower])
        self._report(self._ready(farm, await readiness.workers(leases)))
        for space, seen in watched:
            self._go(watch(space.name, space.app_file, seen, self._spaces, self._report))
        await Declared(self._spaces, queue, self._report, self._options.state_dir).watch()

    def _means(self) -> Means:
        return Means(self._options, self._report, self._go, self._note_gates, Turns(STARTS_PER_CORE * cores()))

    @property
    def _gates(self) -> list[Gate]:
        return [page.gate for page in self._spaces.every_page]

    def _note_gates(self) -> None:
        """Have the gateway know all gates also when it is started again; and pages that are listed be right."""
        for keeper in self._gateway:
            if self._farm is not None:
                keeper.service = self._farm.gateway(self._gates)
        if not self._fork_server and len({gate.space for gate in self._gates}) > 1 and self._farm is not None:
            self._fork_server = self._kept([fork_server_of(self._options)])
        self._write_pages()

    def _kept(self, services: Iterable[Service]) -> list[Keeper]:
        keepers = [Keeper(service, self._report) for service in services]
        for keeper in keepers:
            self._go(keeper.run())
        return keepers

    def _idleness(self, queue: Queue) -> Idleness:
        status, registry = StatusReader(queue), Registry(queue.redis)
        broker = Broker(status.unused_for, registry.tell_of_idleness, registry.tell_of_visit, registry.renew)
        return Idleness(lambda: self._spaces.keepers, broker, self._idle_after, settings.current().idle, self._report)

    def _idle_after(self, space: str) -> float:
        own, page = settings.of_space(space).idle_after, self._spaces.pages.get(space)
        if own is not None:
            return own
        shows_a_farm_at_work = page is not None and page.revision.space.is_bundled
        return math.inf if shows_a_farm_at_work else settings.current().idle.after

    def _go(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a coroutine in the background; an error in it ends the farm."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or self._ending is None or self._ending.done():
            return
        if (error := task.exception()) is not None:
            self._ending.set_exception(error)

    def _processes(self) -> dict[str, list[int]]:
        """The web process and the zygotes of each Space."""
        found: dict[str, list[int]] = {space.name: [] for space in self._spaces.spaces}
        webs = ((keeper.service.space, keeper.pid) for keeper in self._spaces.keepers)
        for name, pid in (*webs, *((each.space, each.pid) for each in self._zygotes())):
            if name in found and pid:
                found[name].append(pid)
        return found

    def _zygotes(self) -> list[Listed]:
        return roster.read(roster.roster_path(self._options.run_dir, log_files.folder_of(self._options.state_dir)))

    def _note_memory(self, found: Mapping[str, int]) -> None:
        self._memory = found
        self._write_pages()

    def _report(self, report: Report) -> None:
        self._reporter(report)
        self._write_pages()

    def _write_pages(self) -> None:
        """Write the pages for others to read. If that fails, the operator is told once, and the next report retries."""
        try:
            self._pages().write(pages_path(self._options.state_dir))
        except OSError as error:
            self._tell_once(f"the list of pages is out of date, because it cannot be written: {error}")
        else:
            self._told = ""

    def _tell_once(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._reporter(Note(text))

    def _pages(self) -> Pages:
        zygotes = self._zygotes()
        spaces = {
            name: page_of(page.revision.space, page.keeper, roster.warmth_of(name, zygotes), self._memory.get(name, 0))
            for name, page in self._spaces.pages.items()
        }
        return Pages(url_of(self._home), url_of(self._flower), spaces, self._options.sandboxes.level, tells_status=True)

    async def _place(self, name: str, request: Request) -> Place | None:
        """Where the front door finds a Space."""
        current = self._spaces.pages.get(name)
        if current is None:
            return None
        page = await page_for(request, current, self._spaces.earlier(name))
        if page.keeper is None:
            return None
        problem = page.keeper.problem if page.keeper.serving == "failed" else ""
        return Place(page.port, problem, settings.of_space(name).root_path)

    def _ready(self, farm: Composition, workers: Iterable[dict[str, Any]]) -> Ready:  # Any: what workers tell
        pages = self._pages()
        ours = {worker.pid for worker in self._workers if worker.answers}
        return Ready(
            home=pages.home,
            flower=pages.flower or None,
            flower_login_file=str(farm.login_file) if pages.flower and farm.login_file else None,
            operator=farm.operator_url,
            operator_login_file=str(farm.operator_login),
            broker=redacted(farm.url),
            gateway=farm.gateway_address,
            workers=[{"name": info["node"]} | info for info in workers if info.get("pid") in ours],
            spaces={name: page.url for name, page in pages.spaces.items() if page.url},
            warming=[name for name, page in pages.spaces.items() if page.url and page.warmth == "warming"],
            failed=[name for name, page in pages.spaces.items() if page.serving == "failed"],
        )

    def _ask_to_stop(self) -> None:
        """Handle a signal: the first stops the farm in order, the second at once."""
        if self._ending is None:
            return
        if not self._ending.done():
            self._ending.set_result(None)
            return
        pages = (page.keeper for page in self._spaces.every_page if page.keeper is not None)
        for keeper in (*pages, *self._everything(), *self._gateway, *self._nursery, *self._fork_server):
            keeper.kill()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self._spaces.end(), *(keeper.stop() for keeper in self._everything()))
        self._lookup.stop()
        if self._control is not None:
            self._control.stop()
        await asyncio.gather(*(keeper.stop() for keeper in (*self._gateway, *self._nursery)))
        await asyncio.gather(*(keeper.stop() for keeper in self._fork_server))
        await self._broker.stop()
        remains.end_remains_of_farm(self._options.state_dir)
        self._options.sandboxes.remove_groups()
        with suppress(OSError):
            pages_path(self._options.state_dir).unlink(missing_ok=True)

    def _everything(self) -> list[Keeper]:
        """The keepers that are stopped together, before the gateway, the nursery and the broker."""
        return [*self._door, *self._home, *self._flower, *self._workers]


async def _settled(keepers: Iterable[Keeper]) -> None:
    for keeper in keepers:
        await keeper.settled.wait()


async def _needed(keepers: Sequence[Keeper]) -> None:
    """Wait until all have answered or failed; raises FarmFault unless at least one answers."""
    await _settled(keepers)
    if not any(keeper.answers for keeper in keepers):
        names = " and ".join(keeper.service.name for keeper in keepers)
        raise FarmFault(f"{names} could not be started; see {keepers[0].service.command.log}")
