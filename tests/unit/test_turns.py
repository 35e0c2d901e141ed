"""Spaces start in order, as many at once as there are cores; one that waits says so."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from spaces_workers.up.keeper import Keeper, Service
from spaces_workers.up.process import Command, Process
from spaces_workers.up.readiness import Probe
from spaces_workers.up.reports import Answering, Importing, Queued, Report, Starting, Words
from spaces_workers.up.turns import Turns


def nothing() -> None:
    pass


async def until(holds: Callable[[], object]) -> None:
    """Wait for a condition, on the event loop."""
    async with asyncio.timeout(20.0):
        while not holds():
            await asyncio.sleep(0.01)


def test_turns_are_given_in_order_and_only_so_many_at_once() -> None:
    begun, waiting, go = [], [], asyncio.Event()

    async def start(turns: Turns, number: int) -> None:
        async with turns.turn(lambda: waiting.append(number)):
            begun.append(number)
            await go.wait()

    async def test() -> None:
        turns = Turns(2)
        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(start(turns, number))
            await until(lambda: len(waiting) == 3)
            assert begun == [0, 1]
            go.set()

    asyncio.run(test())
    assert begun == [0, 1, 2, 3, 4]
    assert waiting == [2, 3, 4]


def test_a_start_that_takes_long_holds_up_nobody_and_frees_no_second_turn() -> None:
    async def test() -> None:
        turns = Turns(1, longest=0.05)
        async with turns.turn(nothing), asyncio.timeout(20.0), turns.turn(nothing), turns.turn(nothing):
            pass
        waits: list[str] = []
        async with turns.turn(lambda: waits.append("first")):
            pass
        turns = Turns(1, longest=60.0)
        async with turns.turn(nothing):
            second = asyncio.create_task(_take(turns, waits))
            await until(lambda: waits)
            assert not second.done()
        await second

    asyncio.run(test())


async def _take(turns: Turns, waits: list[str]) -> None:
    async with turns.turn(lambda: waits.append("second")):
        pass


def test_a_failed_or_cancelled_start_gives_its_turn_back() -> None:
    async def test() -> None:
        turns = Turns(1)
        begun = asyncio.Event()

        async def hang() -> None:
            async with turns.turn(nothing):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(20.0), turns.turn(nothing):
            pass

    asyncio.run(test())


def test_a_service_starts_when_the_one_before_it_answers(tmp_path: Path) -> None:
    reports: list[Report] = []

    def tell(report: Report) -> None:
        reports.append(report)

    async def test() -> None:
        turns = Turns(1)
        keepers = [Keeper(_service(tmp_path, name), tell, turns) for name in ("first", "second")]
        runs = [asyncio.ensure_future(keeper.run()) for keeper in keepers]
        await until(lambda: Queued("second") in reports)
        assert [keeper.serving for keeper in keepers] == ["starting", "queued"]
        (tmp_path / "first").touch()
        await until(lambda: Starting("second") in reports)
        (tmp_path / "second").touch()
        await until(lambda: all(keeper.answers for keeper in keepers))
        for run in runs:
            run.cancel()
        for keeper in keepers:
            await keeper.stop()

    asyncio.run(test())
    told = [(type(report), report.name) for report in reports if isinstance(report, Queued | Starting | Answering)]
    assert told == [
        (Starting, "first"),
        (Queued, "second"),
        (Answering, "first"),
        (Starting, "second"),
        (Answering, "second"),
    ]


def _service(folder: Path, name: str) -> Service:
    """A process that answers once the test makes the file of its name."""

    def probe(_: Process) -> Probe:
        async def answers() -> bool:
            return (folder / name).exists()

        return answers

    return Service(name, Command(["/usr/bin/sleep", "600"], {}, folder / "log"), probe)


def test_a_terminal_shows_how_many_wait_and_what_is_imported() -> None:
    output = io.StringIO()
    report = Words(Console(file=output, width=120, force_terminal=True))
    for each in (Starting("Space a"), Queued("Space b"), Queued("Space c"), Starting("Space b")):
        report(each)
    status = report._status
    assert status is not None
    assert str(status.status) == "Starting Space a, Space b; 1 wait"
    report(Importing("Space a", "torch"))
    assert str(status.status) == "Starting Space a (imports torch), Space b; 1 wait"
    report(Importing("Space a", ""))
    assert str(status.status) == "Starting Space a, Space b; 1 wait"
    status.stop()
