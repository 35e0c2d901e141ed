"""What visitors read when the farm fails them: its workers die, its broker is away, a script fails where it works."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from functools import partial
from pathlib import Path

from gradio_client import Client

from spaces.farm.queue.rules import Rules
from spaces.farm.queue.task_state import TaskState
from spaces.farm.task import State
from tests.end_to_end.pages import CLIENT, WORKER, fails, refused
from tests.harness import Farm
from tests.waiting import wait_until


def test_a_visitor_reads_that_a_task_was_lost_with_its_workers(own_farm: Farm, tmp_path: Path) -> None:
    attempts = Rules().attempts
    for number in range(attempts + 1):  # the last one lives to tell of the others
        own_farm.start_worker(f"cpu{number}")
    with closing(Client(own_farm.start_web("studio"), verbose=False)) as visitor:
        job = visitor.submit(600, str(tmp_path / "note"), api_name="/hold")
        for attempt in range(1, attempts + 1):
            os.kill(wait_until(partial(pid_of_worker, own_farm, attempt)) or 0, signal.SIGKILL)
        fails(job, words=r"studio\.hold was lost: 3 workers died while they ran it", title=WORKER)


def test_a_visitor_reads_that_the_broker_takes_no_tasks_and_finds_it_back(own_farm: Farm) -> None:
    own_farm.start_worker()
    with closing(Client(own_farm.start_web("studio"), verbose=False)) as visitor:
        assert visitor.predict("Ada", api_name="/later") == "later Ada"
        own_farm.kill_broker()
        words = r"studio\.later was not queued: the broker takes no tasks now\. Try again"
        refused(visitor, "/later", "Ada", words=words, title=CLIENT)
        own_farm.revive_broker()
        assert visitor.predict("Bob", api_name="/later") == "later Bob"


def test_a_visitor_reads_that_the_script_failed_in_the_worker_and_the_log_has_where(own_farm: Farm) -> None:
    own_farm.start_worker()
    words = "^the script of Space 'one_sided' failed in the worker; its log has the traceback$"
    with closing(Client(own_farm.start_web("one_sided"), verbose=False)) as visitor:
        refused(visitor, "/shout", "hello", words=words, title=WORKER)
    for log in ("web-one_sided.log", "state/logs/zygote-one_sided.log"):
        text = (own_farm.folder / log).read_text()
        assert 'tests/spaces/one_sided/app.py", line 9, in <module>' in text
        assert "RuntimeError: the weights are on another disk" in text


def pid_of_worker(farm: Farm, attempt: int) -> int | None:
    """The worker that runs the farm's one task, once so many have taken it."""
    state = only_task(farm)
    if state is None or state.state is not State.RUNNING or state.attempt != attempt:
        return None
    return int(farm.queue.leases.workers()[state.worker]["pid"])


def only_task(farm: Farm) -> TaskState | None:
    prefix = len(farm.queue.keys.task(""))
    for key in farm.redis.scan_iter(farm.queue.keys.task("*")):
        return farm.queue.state(key.decode()[prefix:])
    return None
