"""Keeps one process of a farm running: started, awaited until it answers, started again when it dies.

A process that dies before it ever answered is reported and left alone: starting it again would fail again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from spaces.effect_check import MARK
from spaces.farm.pages import Serving
from spaces_workers.up.process import Command, Process, described
from spaces_workers.up.readiness import Probe, until
from spaces_workers.up.reports import Answering, Failed, Note, Reporter, Restarting, Starting

#: Seconds before a process that died is started again: the first time, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0

#: Seconds of life after which the next death counts as the first.
SOUND = 60.0

#: Seconds between two looks whether what somebody else provides is still there.
PROVIDED_INTERVAL = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """What a farm keeps running in one process."""

    name: str  #: for people: `Space digits`, `worker cpu0`
    command: Command
    probe: Callable[[Process], Probe]
    url: str = ""
    space: str = ""
    #: Whether a process of somebody else does it already, so that none of ours is needed.
    is_provided: Callable[[], bool] = lambda: False


class Keeper:
    """Runs one service until it is stopped."""

    def __init__(self, service: Service, report: Reporter) -> None:
        self.service = service
        self.settled = asyncio.Event()  #: it answers, or has failed
        self.serving: Serving = "starting"
        self.problem = ""  #: why it does not answer, in one line
        self._report = report
        self._process: Process | None = None
        self._pause = Pause()

    async def run(self) -> None:
        """Keep the service running; returns only where it failed at its first start."""
        while True:
            if self.service.is_provided():
                self._answer()
                await asyncio.sleep(PROVIDED_INTERVAL)
                continue
            status = await self._live()
            if status is None:
                return
            await asyncio.sleep(self._after(status))

    async def stop(self) -> None:
        """End its process, if it has one. `run` must have been cancelled before."""
        if self._process is not None:
            await self._process.stop()

    @property
    def answers(self) -> bool:
        """Whether it does its work now."""
        return self.serving == "serving"

    @property
    def pid(self) -> int | None:
        """Its process, if it is one of ours."""
        return self._process.pid if self._process is not None else None

    def kill(self) -> None:
        """End its process at once."""
        if self._process is not None:
            self._process.kill()

    async def _live(self) -> int | None:
        """One process from its start to its end. Returns how it ended, or None for one that is to be left alone."""
        self._report(Starting(self.service.name))
        process = self._process = Process(self.service.command)
        if await self._comes_to_answer(process):
            self._answer()
            self._report(Answering(self.service.name, self.service.url, process.seconds))
            self._repeat_notes(process)
        elif not self.settled.is_set():
            await self._fail(process)
            return None
        return await process.ended()

    async def _comes_to_answer(self, process: Process) -> bool:
        probing = asyncio.create_task(until(self.service.probe(process)))
        ending = asyncio.create_task(process.ended())
        try:
            await asyncio.wait({probing, ending}, return_when=asyncio.FIRST_COMPLETED)
            return probing.done() and not ending.done()
        finally:
            probing.cancel()
            ending.cancel()

    def _answer(self) -> None:
        self.serving, self.problem = "serving", ""
        self.settled.set()

    def _repeat_notes(self, process: Process) -> None:
        """What a Space's process says of itself in its log, such as that it does without the farm."""
        for line in process.log.marked(MARK):
            self._report(Note(f"{self.service.name}: {line}"))

    async def _fail(self, process: Process) -> None:
        reason = self._why(await process.ended())
        log = self.service.command.log
        words = process.log.last_words()
        self.serving, self.problem = "failed", words.rpartition("\n")[2] or reason
        self._report(Failed(self.service.name, self.service.space, reason, words, str(log)))
        self._repeat_notes(process)
        self.settled.set()

    def _why(self, status: int) -> str:
        if self.service.space and status == 0:
            return "left: its script ended without calling launch()"
        return f"{described(status)} before it answered"

    def _after(self, status: int) -> float:
        """Say that the process died, and how long to wait."""
        if self._process is None:
            raise ValueError(f"{self.service.name} ended without having been started")
        self.serving, self.problem = "restarting", described(status)
        pause = self._pause.next(self._process.seconds)
        self._report(Restarting(self.service.name, self.problem, pause, str(self.service.command.log)))
        return pause


class Pause:
    """How long to wait before something is started again: longer each time, but not for ever."""

    def __init__(self) -> None:
        self._seconds = FIRST_PAUSE

    def next(self, lived: float) -> float:
        """The pause after a life of so many seconds."""
        if lived > SOUND:
            self._seconds = FIRST_PAUSE
        seconds, self._seconds = self._seconds, min(2 * self._seconds, LONGEST_PAUSE)
        return seconds
