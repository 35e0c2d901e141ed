"""What operators change by commands while visitors wait: pages say so, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.client import Job
from gradio_client.exceptions import AppError

from spaces.farm.page_addresses import Pages
from spaces.farm.queue.counters.history import read_history
from spaces.farm.queue.status import StatusReader
from spaces.farm.task import State
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until


def ran(farm: Farm, *arguments: str) -> str:
    """What a command of `zerofarm` prints; one that fails fails the test."""
    command = [sys.executable, "-m", "spaces_workers.cli", *arguments, "--redis-url", farm.broker.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refused(farm: Farm, *arguments: str) -> str:
    command = [sys.executable, "-m", "spaces_workers.cli", *arguments, "--redis-url", farm.broker.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1, done.stdout
    return done.stderr.strip()


def bar_of(job: Job) -> str:
    progress = job.status().progress_data
    return (progress[0].desc or "") if progress else ""


def test_a_visitor_of_a_paused_space_reads_so_and_is_served_when_it_is_resumed(web_farm: Farm, visitor: Client) -> None:
    assert ran(web_farm, "pause", "studio") == "studio is paused; 0 tasks wait"
    assert ran(web_farm, "pause", "studio") == "studio was paused already"
    job = visitor.submit("ada", api_name="/greet")
    wait_until(lambda: bar_of(job) == "Queue: 1st of 1, paused by the operator", otherwise=lambda: bar_of(job))
    [space] = [each for each in StatusReader(web_farm.queue).read(Pages()).spaces if each.name == "studio"]
    assert (space.terms.paused, space.waiting, space.running) == (True, 1, 0)
    assert ran(web_farm, "resume", "studio") == "studio is resumed"
    assert job.result(PATIENCE) == "Hello ada"


def test_a_space_is_pinned_and_unpinned(web_farm: Farm, studio: str) -> None:
    assert ran(web_farm, "pin", "studio") == "studio is pinned"
    assert ran(web_farm, "pin", "studio") == "studio was pinned already"
    assert "studio (pinned)" in ran(web_farm, "status")
    assert ran(web_farm, "unpin", "studio") == "studio is not pinned any more"
    assert ran(web_farm, "unpin", "studio") == "studio was not pinned by an operator; farm.toml may do so"


def test_a_drained_worker_finishes_its_task_and_takes_no_other(web_farm: Farm, visitor: Client, tmp_path: Path) -> None:
    running = visitor.submit(2, str(tmp_path / "note"), api_name="/hold")
    wait_until((tmp_path / "note").exists)
    assert ran(web_farm, "drain", "cpu0") == "cpu0@test-host is drained"
    assert running.result(PATIENCE) == "held"
    waiting = visitor.submit("ada", api_name="/greet")
    wait_until(lambda: web_farm.queue.waiting("studio"))
    assert "drained" in ran(web_farm, "status")
    assert ran(web_farm, "undrain", "cpu0") == "cpu0@test-host takes tasks again"
    assert waiting.result(PATIENCE) == "Hello ada"


def test_a_failed_task_of_a_page_is_retried(web_farm: Farm, visitor: Client, tmp_path: Path) -> None:
    note = tmp_path / "missing" / "note"
    with pytest.raises(AppError):
        visitor.predict(0, str(note), api_name="/hold")
    failed = read_history(web_farm.redis, web_farm.queue.keys, 1)[0].id
    note.parent.mkdir()
    told = ran(web_farm, "retry", failed[:12])
    assert told.startswith("studio.hold is queued as task ")
    again = told.rpartition(" ")[2]
    wait_until(lambda: (state := web_farm.queue.state(again)) and state.state is State.SUCCEEDED)
    assert note.exists()
    assert refused(web_farm, "retry", again) == (
        f"zerofarm: task {again} cannot be retried: its state is 'succeeded', not a failure"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("pause", "nobody"), "the farm knows no Space 'nobody'; it knows: studio"),
        (("load", "nobody"), "the farm knows no Space 'nobody'; it knows: studio"),
        (("retry", "00ff"), "the farm knows no task '00ff': see `zerofarm status` for its tasks"),
        (("drain", "gpu7"), "the farm has no worker 'gpu7'; it has: cpu0@test-host"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_those_that_are(
    web_farm: Farm, studio: str, arguments: tuple[str, ...], complaint: str
) -> None:
    assert refused(web_farm, *arguments) == f"zerofarm: {complaint}"


def test_who_did_what_is_recorded(web_farm: Farm, studio: str) -> None:
    ran(web_farm, "pause", "studio")
    ran(web_farm, "resume", "studio")
    latest, before, *_ = json.loads(ran(web_farm, "audit", "--json"))
    assert [(each["verb"], each["target"]) for each in (latest, before)] == [("resume", "studio"), ("pause", "studio")]
    assert " on " in latest["by"]
