"""Which Spaces are stopped: those that were unused for long, and while memory is short the longest unused."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import pytest

from spaces.farm.queue.rules import IdleRules
from spaces.servers import page_address
from spaces_workers.up.idleness import SHORT_OF_MEMORY, Broker, Idleness
from spaces_workers.up.keeper import Keeper, Service
from spaces_workers.up.page_port import PagePort
from spaces_workers.up.process import Command
from spaces_workers.up.readiness import page
from spaces_workers.up.reports import Answering, Idle, Note, Report
from spaces_workers.up.visits import Visits, latest_visits

#: A page that listens as those of Spaces do, and nothing else of them.
PAGE = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from spaces.servers import fixed_ports, page_socket

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

fixed_ports.watch(lambda: False)
page_socket.inherit_named()
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""

MINUTE = 60.0


class Host:
    """Some Spaces of a host, with a clock and a memory of their own."""

    def __init__(self, folder: Path, names: str, after: float) -> None:
        self.reports: list[Report] = []
        self.now, self.available = 1000.0, 0.5
        self.told: list[str] = []
        self.opened: list[str] = []
        self.visits = visits_of_now
        self.meanwhile: Callable[[], object] = lambda: None  #: whenever the broker is told of a Space
        (folder / "page.py").write_text(PAGE)
        self.keepers = {name: self._keeper(folder, name) for name in names.split()}
        self.unused = dict.fromkeys(self.keepers, float("inf"))
        self.idleness = Idleness(
            lambda: list(self.keepers.values()),
            Broker(lambda _: self.unused, self.note(self.told), self.note(self.opened), lambda _: None),
            lambda _: after,
            IdleRules(memory=0.1),
            self.hear,
            clock=lambda: self.now,
            visits=lambda ports: self.visits(ports),
            available=lambda: self.available,
        )

    def _keeper(self, folder: Path, name: str) -> Keeper:
        port = PagePort("127.0.0.1", page_address.free_port("127.0.0.1"))
        program = [sys.executable, str(folder / "page.py")]
        command = Command(program, {"PORT": str(port.number)}, folder / f"{name}.log", page_port=port)
        service = Service(f"Space {name}", command, lambda _: page(*port.local, "/"), space=name)
        return Keeper(service, self.hear)

    def note(self, told: list[str]) -> Callable[[str], None]:
        def noted(space: str) -> None:
            told.append(space)
            self.meanwhile()

        return noted

    def hear(self, report: Report) -> None:
        self.reports.append(report)

    async def after(self, seconds: float) -> None:
        """Let time pass, and look."""
        self.now += seconds
        await self.idleness.look(self.unused)

    def idle(self) -> list[str]:
        return [name for name, keeper in self.keepers.items() if keeper.serving == "idle"]


def visits_of_now(ports: Collection[int]) -> dict[int, Visits]:
    """Visits as the host sees them, whose clock is not that of the system."""
    return {port: seen if seen.connections else Visits() for port, seen in latest_visits(ports).items()}


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60.0):
        while not holds():
            await asyncio.sleep(0.02)


Live = Callable[[str, float, Callable[[Host], Awaitable[None]]], Host]


@pytest.fixture
def live(tmp_path: Path) -> Live:
    def made(names: str, after: float, story: Callable[[Host], Awaitable[None]]) -> Host:
        async def lived() -> Host:
            host = Host(tmp_path, names, after)
            keepers = list(host.keepers.values())
            lives = [asyncio.ensure_future(keeper.run()) for keeper in keepers]
            try:
                await until(lambda: all(keeper.can_stop for keeper in keepers))
                await host.after(0.0)
                await story(host)
            finally:
                for each in lives:
                    each.cancel()
                for keeper in keepers:
                    await keeper.stop()
                    if keeper.service.command.page_port is not None:
                        keeper.service.command.page_port.close()
            return host

        return asyncio.run(lived())

    return made


def test_a_space_is_stopped_after_its_time_and_started_for_a_visitor(live: Live) -> None:
    async def story(host: Host) -> None:
        await host.after(MINUTE - 1)
        assert not host.idle()
        await host.after(2)
        await until(host.idle)
        assert host.told == ["a"]
        keeper = host.keepers["a"]
        assert (keeper.pid, keeper.has_page, keeper.answers) == (None, True, False)
        await host.after(1)
        reader, writer = await asyncio.open_connection("127.0.0.1", keeper.port_number)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.read()).split()[1] == b"204"
        writer.close()
        await until(lambda: keeper.answers)
        await host.after(MINUTE - 1)
        assert not host.idle()

    host = live("a", MINUTE, story)
    assert [type(report) for report in host.reports].count(Answering) == 2


def test_a_visitor_and_a_task_keep_a_space_running(live: Live) -> None:
    async def story(host: Host) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", host.keepers["visited"].port_number)
        host.unused["called"] = 0.0
        await host.after(2 * MINUTE)
        await until(host.idle)
        assert host.idle() == ["alone"]
        host.unused["called"] = 2 * MINUTE
        await host.after(MINUTE - 1)
        assert host.idle() == ["alone"]
        writer.close()

    live("visited called alone", MINUTE, story)


def test_a_visitor_who_comes_and_goes_between_two_looks_keeps_a_space_running(live: Live) -> None:
    """A call by HTTP takes two connections; the page was stopped between them, with the answer."""

    async def story(host: Host) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", host.keepers["visited"].port_number)
        writer.close()
        await writer.wait_closed()
        host.visits = latest_visits
        await host.after(2 * MINUTE)
        assert not host.idle()

    live("visited", MINUTE, story)


def test_a_task_that_comes_after_the_look_keeps_a_space_running(live: Live) -> None:
    """It may be that of a page, which would take it along."""

    async def story(host: Host) -> None:
        host.now += 2 * MINUTE
        seen, host.unused = host.unused, {"called": 0.0}
        await host.idleness.look(seen)
        assert not host.idle()
        assert host.told == []

    live("called", MINUTE, story)


def test_workers_are_told_of_each_page_that_somebody_opens(live: Live) -> None:
    async def story(host: Host) -> None:
        await host.after(1.0)
        assert host.opened == []
        visitors = []
        for seen in (["a"], ["a", "a"]):
            visitors.append(await asyncio.open_connection("127.0.0.1", host.keepers["a"].port_number))
            await host.after(1.0)
            await host.after(1.0)
            assert host.opened == seen
        for _, writer in visitors:
            writer.close()

    live("a b", MINUTE, story)


def test_a_task_starts_an_idle_space(live: Live) -> None:
    async def story(host: Host) -> None:
        await host.after(2 * MINUTE)
        await until(host.idle)
        await host.after(1)
        assert host.idle()
        host.unused["a"] = 0.0
        await host.after(1)
        await until(lambda: host.keepers["a"].answers)

    live("a", MINUTE, story)


def test_while_memory_is_short_the_longest_unused_spaces_are_stopped_one_by_one(live: Live) -> None:
    async def story(host: Host) -> None:
        host.unused |= {"older": 5 * MINUTE, "newer": MINUTE}
        await host.after(10 * MINUTE)
        assert not host.idle()
        host.available = 0.05
        await host.after(1)
        await until(host.idle)
        assert host.idle() == ["older"]
        await host.after(1)
        assert host.idle() == ["older"]
        await host.after(SHORT_OF_MEMORY)
        await until(lambda: len(host.idle()) == 2)

    host = live("newer older", float("inf"), story)
    notes = [report.text for report in host.reports if isinstance(report, Note)]
    assert "5 % of its memory left: Space older" in notes[0]
    assert [report.name for report in host.reports if isinstance(report, Idle)] == ["Space older", "Space newer"]


def test_a_space_that_goes_during_a_look_is_not_stopped(live: Live) -> None:
    """The look ended, and the farm with it."""

    async def story(host: Host) -> None:
        gone = host.keepers["gone"]
        host.meanwhile = lambda: host.keepers.pop("gone", None)
        await host.after(2 * MINUTE)
        assert host.told == ["first"]
        assert gone.answers

    live("first gone", MINUTE, story)


def test_a_space_that_comes_during_a_look_is_left_to_the_next(live: Live) -> None:
    """The look ended, and the farm with it."""

    async def story(host: Host) -> None:
        new = host.keepers.pop("new")
        await host.after(1.0)
        host.meanwhile = lambda: host.keepers.update(new=new)
        _, writer = await asyncio.open_connection("127.0.0.1", host.keepers["visited"].port_number)
        await host.after(1.0)
        assert "new" in host.keepers
        await host.after(2 * MINUTE)
        assert host.told == []
        await host.after(2 * MINUTE)
        assert host.told == ["new"]
        writer.close()

    live("visited new", MINUTE, story)
