"""Keeps one process of a farm running: starts it, waits until it answers, restarts it when it dies.

A process that dies before it first answered is reported and not restarted: it would fail again. A Space is tried again
when its files have changed. The page of an idle Space is ended, and started again when somebody comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from spaces.effect_check import MARK
from spaces.farm.page_addresses import Serving
from spaces.source import Source
from spaces_workers.up import mending
from spaces_workers.up.log_tail import LogTail, place_in
from spaces_workers.up.porter import Porter
from spaces_workers.up.process import Begun, Command, Process, described
from spaces_workers.up.progress import followed
from spaces_workers.up.readiness import Probe, until
from spaces_workers.up.reports import Answering, Failed, Idle, Importing, Note, Queued, Reporter, Restarting, Starting
from spaces_workers.up.turns import Turns

#: Seconds before a dead process is restarted: the first time, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0

#: After a life of this many seconds the pause starts at FIRST_PAUSE again.
SOUND = 60.0

#: Seconds between two checks that a service that another process provides is still there.
PROVIDED_INTERVAL = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service of a farm, which runs in one process."""

    name: str  #: as messages show it: `Space digits`, `worker cpu0`
    command: Command
    probe: Callable[[Process], Probe]
    url: str = ""
    space: str = ""
    source: Source | None = None  #: of the Space
    title: str = ""  #: of the Space, for its visitors
    root_path: str = ""  #: below which its page is served
    #: Whether a process that another program started provides it already.
    is_provided: Callable[[], bool] = lambda: False
    begun: Begun | None = None  #: its first process, if that runs already


class Keeper:
    """Runs one service until it is stopped."""

    def __init__(self, service: Service, report: Reporter, turns: Turns | None = None) -> None:
        self.service = service
        self.settled = asyncio.Event()  #: it answers, or has failed
        self.serving: Serving = "starting"
        self.problem = ""  #: why it does not answer, in one line
        self.importing = ""  #: the library that it imports now, while it starts
        self._report = report
        self._turns = turns  #: in which it starts; None: at once
        self._process: Process | None = None
        self._has_answered = False
        self._pause = Pause()
        self._port = service.command.page_port
        self._porter = Porter(self._port, service.title or service.space) if self._port else None
        self._shares_port = False  #: its page listens by the socket that outlives it
        self._is_awaited = False  #: somebody has come while no page was there
        self._becomes_idle = False
        self._is_asked_for = False  #: it ends because an operator wants it to start anew
        self._called = asyncio.Event()

    async def run(self) -> None:
        """Keep the service running; returns only if its first start failed, and nobody can mend it."""
        while True:
            if self.service.is_provided():
                self._answer()
                await asyncio.sleep(PROVIDED_INTERVAL)
                continue
            try:
                status = await self._live()
            except OSError as error:  # the system has no process, descriptor or memory to spare
                await asyncio.sleep(self._later(f"could not be started: {error}", lived=0.0))
                continue
            if self._becomes_idle:
                await self._be_idle()
            elif status is not None:
                await asyncio.sleep(self._after(status))
            elif self.service.source is not None:
                await self._mended(self.service.source)
            else:
                return

    async def stop(self) -> None:
        """End its process, if it has one. `run` must have been cancelled before."""
        if self._porter is not None:
            self._porter.close()
        if self._process is not None:
            await self._process.stop()

    @property
    def answers(self) -> bool:
        """Whether the service answers now."""
        return self.serving == "serving"

    @property
    def has_page(self) -> bool:
        """Whether a visitor gets the page, at once or when it has been started."""
        return self.serving in ("serving", "idle") or (self.serving == "starting" and self._called.is_set())

    @property
    def port_number(self) -> int:
        """The port of its page; 0 if the page has none that outlives it."""
        return self._port.number if self._port is not None else 0

    @property
    def can_stop(self) -> bool:
        """Whether `stop_unless` may have an effect now."""
        return self.answers and self._shares_port

    async def stop_unless(self, is_used: Callable[[], Awaitable[bool]]) -> bool:
        """End an unused page until somebody comes, or `call`; returns whether it did. Nobody gets in meanwhile."""
        port, process = self._port, self._process
        if not self.can_stop or port is None or process is None:
            return False
        port.shut()
        try:
            if await is_used() or self._process is not process or not self.can_stop or self._is_asked_for:
                return False
            self._becomes_idle = True
            await process.stop()
            return True
        finally:
            port.open()

    async def restart(self) -> None:
        """Start the page anew, also if it has failed or is idle. Visitors wait meanwhile."""
        self._called.set()
        if self._process is not None and self.serving not in ("failed", "idle"):
            self._is_asked_for = True
            await self._process.stop()

    def call(self) -> None:
        """Start the page of an idle Space, before others that wait for their start."""
        self._is_awaited = True
        self._called.set()

    @property
    def pid(self) -> int | None:
        """The id of its process, if this keeper started one."""
        return self._process.pid if self._process is not None and self.serving != "idle" else None

    def kill(self) -> None:
        """End its process at once."""
        if self._process is not None:
            self._process.kill()

    async def _live(self) -> int | None:
        """Run one process from start to end. Returns its exit status, or None if it must not be restarted."""
        async with self._turn(), followed(LogTail(self.service.command.log), self._note_import):
            process = self._process = await self._start()
            answers = await self._comes_to_answer(process)
        if answers:
            self._answer()
            self._report(Answering(self.service.name, self.service.url, process.seconds))
            self._repeat_notes(process)
        elif not self._has_answered and not self._is_asked_for:
            await self._fail(process)
            return None
        return await process.ended()

    def _note_import(self, library: str) -> None:
        if library != self.importing:
            self.importing = library
            self._report(Importing(self.service.name, library))

    async def _mended(self, source: Source) -> None:
        """Return when a Space that failed may be tried again: its files have changed, or it is asked for."""
        changed, called = asyncio.create_task(mending.changed(source)), asyncio.create_task(self._called.wait())
        try:
            await asyncio.wait({changed, called}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            called.cancel()

    def _turn(self) -> AbstractAsyncContextManager[None]:
        if self._turns is None or self._is_awaited:
            return nullcontext()
        return self._turns.turn(self._queue, lambda: self._is_awaited)

    def _queue(self) -> None:
        self.serving = "queued"
        self._report(Queued(self.service.name))
        if self._porter is not None:
            self._porter.begin("is waiting for its start", self.call)

    async def _start(self) -> Process:
        self.serving = "starting"
        self._report(Starting(self.service.name))
        if self._porter is not None and self._port is not None and not self._shares_port:
            self._porter.end()
            self._port.unlisten()
        command, begun = self.service.command, self.service.begun if self._process is None else None
        return Process.of(command, begun) if begun else await Process.start(command)

    async def _be_idle(self) -> None:
        self._becomes_idle = False
        self._called.clear()
        self.serving, self.problem = "idle", ""
        self._report(Idle(self.service.name))
        if self._porter is not None:
            self._porter.begin("is starting", self.call)
        await self._called.wait()

    async def _comes_to_answer(self, process: Process) -> bool:
        probing = asyncio.create_task(until(self._probe(process)))
        ending = asyncio.create_task(process.ended())
        try:
            await asyncio.wait({probing, ending}, return_when=asyncio.FIRST_COMPLETED)
            return probing.done() and not ending.done()
        finally:
            probing.cancel()
            ending.cancel()

    def _probe(self, process: Process) -> Probe:
        """The service's probe, once it does not reach the porter."""
        probe = self.service.probe(process)

        async def answers() -> bool:
            return not (self._porter and self._porter.answers) and await probe()

        return answers

    def _answer(self) -> None:
        self.serving, self.problem = "serving", ""
        self._is_asked_for = False
        self._is_awaited = False
        self._called.clear()
        if self._porter is not None and self._port is not None:
            self._shares_port = self._port.is_taken
            self._porter.pass_on()
        self._has_answered = True
        self.settled.set()

    def _repeat_notes(self, process: Process) -> None:
        """Report the marked lines of a Space's log, such as that it does not use the farm."""
        for line in process.log.marked(MARK):
            self._report(Note(f"{self.service.name}: {line}"))

    async def _fail(self, process: Process) -> None:
        reason = self._why(await process.ended())
        log = self.service.command.log
        words = process.log.last_words()
        self._called.clear()
        if self._porter is not None:
            self._porter.close()
        self.serving, self.problem = "failed", self._in_one_line(words) or reason
        self._report(Failed(self.service.name, self.service.space, reason, words, str(log)))
        self._repeat_notes(process)
        self.settled.set()

    def _in_one_line(self, words: str) -> str:
        """The last line, and where in the Space's files it came to that."""
        line = words.rpartition("\n")[2]
        place = place_in(self.service.source.root, words) if self.service.source else ""
        return f"{line} ({place})" if line and place else line

    def _why(self, status: int) -> str:
        if self.service.space and status == 0:
            return "exited: its script ended without calling launch()"
        return f"{described(status)} before it answered"

    def _after(self, status: int) -> float:
        """Report that the process died; returns the seconds until the restart."""
        if self._process is None:
            raise ValueError(f"{self.service.name} ended without having been started")
        asked, self._is_asked_for = self._is_asked_for, False
        return 0.0 if asked else self._later(described(status), self._process.seconds)

    def _later(self, problem: str, lived: float) -> float:
        """Report why the process does not run; returns the seconds until the next start."""
        self.serving, self.problem = "restarting", problem
        pause = self._pause.next(lived)
        self._report(Restarting(self.service.name, problem, pause, str(self.service.command.log)))
        return pause


class Pause:
    """Seconds to wait before a restart: doubled each time, up to a limit."""

    _seconds = FIRST_PAUSE

    def next(self, lived: float) -> float:
        """Return the next pause, after a process that lived for `lived` seconds."""
        if lived > SOUND:
            self._seconds = FIRST_PAUSE
        seconds, self._seconds = self._seconds, min(2 * self._seconds, LONGEST_PAUSE)
        return seconds
