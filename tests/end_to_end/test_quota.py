"""Quotas through Gradio's pages: the visitor's identity, charges, display and refusals."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.utils import Status

from spaces.farm.queue import settings
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.quota import Ledger
from spaces.farm.task import State
from spaces_workers.cli import main
from tests.end_to_end.pages import called, refused
from tests.harness import Farm, configured_farm
from tests.waiting import PATIENCE, wait_until

EXCEEDED = "ZeroGPU quota exceeded"

SETTINGS = """
[quota]
enabled = true

[tiers.anonymous]
daily = 25

[tiers.user]
daily = 60
parallel = 2

[tiers.member]
daily = 3600
longest = 100

[tiers.space]
daily = 60

[visitors]
grace = "member"
"""


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm with quotas, and a worker."""
    with configured_farm(tmp_path_factory.mktemp("farm"), SETTINGS) as made:
        made.start_worker()
        yield made


@pytest.fixture(scope="module")
def page(metered: Farm) -> str:
    """The URL of a page behind a login."""
    return metered.start_web("metered")


@pytest.fixture
def ledger(metered: Farm) -> Ledger:
    """What visitors have used; nothing when a test begins."""
    queue = Queue(metered.redis, rules=settings.current())
    for key in metered.redis.scan_iter(queue.keys.usage("*")):
        metered.redis.delete(key)
    return queue.ledger


@pytest.fixture
def ada(page: str) -> Iterator[Client]:
    client = Client(page, auth=("ada", "lovelace"), verbose=False)
    yield client
    client.close()


def used(farm: Farm, visitor: str, seconds: float) -> None:
    """Have a visitor, whose day runs, have used so much of it."""
    farm.redis.hset(farm.queue.keys.usage(visitor), "used", seconds)


def visitors(ledger: Ledger) -> list[str]:
    return [each.visitor for each in ledger.all()]


def test_a_login_is_charged_for_what_its_task_held(ada: Client, ledger: Ledger) -> None:
    assert ada.predict(0.5, api_name="/work") == "done"
    found = ledger.standing("user:ada")
    assert 0.5 <= found.quota.used < 20.0
    assert (found.reserved, found.tasks) == (0.0, 0)
    assert visitors(ledger) == ["user:ada"]


def test_a_batch_reserves_and_is_charged_for_one_task(ada: Client, ledger: Ledger, tmp_path: Path) -> None:
    first, others = tmp_path / "first", tmp_path / "others"
    alone = ada.submit(str(first), api_name="/work_together")
    wait_until(lambda: ledger.standing("user:ada").tasks == 1)
    together = [ada.submit(str(others), api_name="/work_together") for _ in range(2)]
    wait_until(lambda: all(job.status().code is Status.IN_QUEUE for job in together))
    first.touch()
    assert alone.result(timeout=PATIENCE) == "1 done"
    wait_until(lambda: ledger.standing("user:ada").tasks == 1)
    assert 0.0 < ledger.standing("user:ada").reserved <= 20.0
    others.touch()
    assert [job.result(timeout=PATIENCE) for job in together] == ["2 done"] * 2
    found = ledger.standing("user:ada")
    assert (found.reserved, found.tasks) == (0.0, 0)


def test_the_start_of_a_child_is_the_farm_s_to_pay(metered: Farm, ledger: Ledger, tmp_path: Path) -> None:
    """The first visitor of a Space was charged for its import."""
    script = tmp_path / "app.py"
    script.write_text(SLOW_IMPORT)
    url = metered.start_web("slow-import", script)
    assert called(url, "work") == ["done"]
    assert 0.0 < ledger.standing("address:127.0.0.1").quota.used < IMPORT


#: Seconds.
IMPORT = 8

SLOW_IMPORT = f"""
import os, time
import gradio as gr
import spaces

if os.environ["ZEROFARM_ROLE"] == "worker":
    time.sleep({IMPORT})

@spaces.GPU(duration=10)
def work():
    return "done"

with gr.Blocks() as demo:
    gr.Button().click(work, outputs=gr.Textbox(), api_name="work")

demo.launch()
"""


def test_a_thread_of_a_handler_is_its_visitor_s(ada: Client, ledger: Ledger) -> None:
    assert ada.predict(api_name="/work_in_a_thread") == "done"
    assert visitors(ledger) == ["user:ada"]


def test_a_page_shows_each_visitor_what_is_left(ada: Client, page: str, ledger: Ledger) -> None:
    assert ada.predict(api_name="/left") == "user: 60 of 60 s"
    grace = Client(page, auth=("grace", "hopper"), verbose=False)
    assert grace.predict(api_name="/left") == "member: 3600 of 3600 s"
    grace.close()


def test_a_visitor_reads_what_was_requested_what_is_left_and_when_there_is_more(
    ada: Client, metered: Farm, ledger: Ledger
) -> None:
    ada.predict(0, api_name="/work")
    used(metered, "user:ada", 59.5)
    words = r"exceeded your user ZeroGPU quota \(\d+s requested vs. 0s left\)\. Try again in 2\d:\d\d:\d\d\."
    refused(ada, "/work", 0, words=words, title=EXCEEDED)


@pytest.mark.parametrize(("name", "password", "most"), [("ada", "lovelace", "60s a day"), ("grace", "hopper", "100s")])
def test_a_visitor_reads_how_long_a_task_of_theirs_may_ever_be(
    page: str, ledger: Ledger, name: str, password: str, most: str
) -> None:
    words = rf"^The requested GPU duration \(120s\) is larger than the maximum allowed \({most}\)$"
    with closing(Client(page, auth=(name, password), verbose=False)) as visitor:
        refused(visitor, "/work_long", words=words, title="ZeroGPU illegal duration")


def test_a_visitor_reads_how_many_tasks_of_theirs_may_run_at_once(ada: Client, ledger: Ledger, tmp_path: Path) -> None:
    end = str(tmp_path / "end")
    jobs = [ada.submit(end, api_name="/work_until") for _ in range(2)]
    wait_until(lambda: ledger.standing("user:ada").tasks == 2)
    words = (
        r"^You have too many ZeroGPU tasks: 2 of yours wait or run, as many as your user quota allows\. Try again once"
    )
    refused(ada, "/work_until", end, words=words, title=EXCEEDED)
    Path(end).touch()
    assert [job.result(timeout=PATIENCE) for job in jobs] == ["done", "done"]


def test_a_visitor_reads_that_the_rest_is_allocated_to_tasks_of_theirs(
    ada: Client, metered: Farm, ledger: Ledger, tmp_path: Path
) -> None:
    end = str(tmp_path / "end")
    ada.predict(0, api_name="/work")
    used(metered, "user:ada", 30.0)
    job = ada.submit(end, api_name="/work_on_until")
    wait_until(lambda: ledger.standing("user:ada").tasks == 1)
    words = r"exceeded your user ZeroGPU quota \(20s requested vs\. 10s left\): the rest is allocated to tasks of yours"
    refused(ada, "/work_on_until", end, words=words, title=EXCEEDED)
    Path(end).touch()
    assert job.result(timeout=PATIENCE) == "done"


def test_a_visitor_reads_that_the_space_itself_has_used_its_share(ada: Client, metered: Farm, ledger: Ledger) -> None:
    """A thread that the Space started outside of a handler acts for no visitor."""
    assert ada.predict(api_name="/work_of_the_space") == "done"
    assert visitors(ledger) == ["space:metered"]
    used(metered, "space:metered", 60.0)
    refused(ada, "/work_of_the_space", words="exceeded your space ZeroGPU quota", title=EXCEEDED)
    assert ada.predict(0, api_name="/work") == "done"


def test_a_visitor_cannot_make_up_an_address_or_a_token(metered: Farm, ledger: Ledger) -> None:
    """By default uvicorn trusts X-Forwarded-For from any process of its own host."""
    headers = {"X-Forwarded-For": "203.0.113.9", "Authorization": "Bearer hf_invented"}
    client = Client(metered.start_web("studio"), headers=headers, verbose=False)
    assert client.predict("Ada", api_name="/greet") == "Hello Ada"
    client.close()
    assert visitors(ledger) == ["address:127.0.0.1"]


def test_operators_see_who_used_how_much(
    ada: Client, metered: Farm, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ada.predict(0, api_name="/work")
    for arguments in ([], ["ada"]):
        command = ["zerofarm", "quota", *arguments, "--redis-url", metered.broker.url, "--json"]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit):
            main()
        (found,) = json.loads(capsys.readouterr().out)
        assert found["visitor"] == "user:ada"
        assert found["quota"]["limit"] == 60.0
        assert found["quota"]["used"] > 0.0


def test_a_task_whose_worker_is_killed_is_charged_once_and_for_its_second_worker(
    ada: Client, metered: Farm, ledger: Ledger, tmp_path: Path
) -> None:
    metered.start_worker("cpu1")
    job = ada.submit(6, api_name="/work")
    os.kill(wait_until(lambda: _worker_of_a_task(metered)), signal.SIGKILL)
    assert job.result(timeout=PATIENCE) == "done"
    wait_until(lambda: ledger.standing("user:ada").tasks == 0)
    (task,) = (each for each in _tasks(metered) if each[1] > 1)
    charged = float(metered.redis.hget(metered.queue.keys.task(task[0]), "charged") or 0)
    assert ledger.standing("user:ada").quota.used == pytest.approx(charged)
    state = metered.queue.state(task[0])
    assert state is not None
    assert state.ended_at is not None
    assert state.started_at is not None
    assert 6.0 <= charged <= state.ended_at - state.started_at


def _worker_of_a_task(farm: Farm) -> int:
    """The process of the worker that runs a task; 0 while none does."""
    states = (farm.queue.state(task) for task, _ in _tasks(farm))
    names = [state.worker for state in states if state is not None and state.state is State.RUNNING]
    return int(farm.queue.leases.workers()[names[0]]["pid"]) if names else 0


def _tasks(farm: Farm) -> list[tuple[str, int]]:
    """Every task that the broker remembers, with its attempts."""
    prefix = len(farm.queue.keys.task(""))
    names = [key.decode()[prefix:] for key in farm.redis.scan_iter(farm.queue.keys.task("*"))]
    return [(name, state.attempt) for name in names if (state := farm.queue.state(name)) is not None]
