"""The status of a farm as the CLI and the home page read it from the broker."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from spaces.errors import RefusedError
from spaces.farm.events import Succeeded
from spaces.farm.farm_status import FarmStatus, Refusals
from spaces.farm.page_addresses import Pages
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.control.controls import Controls
from spaces.farm.queue.limits import Limits
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry, SpaceRecord
from spaces.farm.queue.status import StatusReader

from .support import MESSAGE, PLAIN, claimed, make_task, pushed

WORKER = {
    "node": "gpu0@host",
    "host": "host",
    "pid": 1,
    "device": "GPU",
    "sizes": ["large"],
    "memory_bytes": 1,
    "held_bytes": 0,
    "busy": [],
    "warm": [],
    "done": 0,
}


def status_of(queue: Queue) -> FarmStatus:
    return StatusReader(queue).read(Pages("", "", {}))


@pytest.fixture
def pinned_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "farm.toml").write_text("[spaces.names]\npin = true\n")
    monkeypatch.setenv("ZEROFARM_CONFIG", str(tmp_path / "farm.toml"))
    return "names"


def test_a_pinned_space_counts_as_used(queue: Queue, pinned_by_file: str) -> None:
    """It was stopped when it fell idle, and its room on the GPU was given up."""
    Controls(queue, "ada").pin("digits")
    assert StatusReader(queue).unused_for(["digits", pinned_by_file, "chat"]) == {
        "digits": 0.0,
        pinned_by_file: 0.0,
        "chat": math.inf,
    }


def test_a_status_has_the_pins_of_operators_and_of_the_file(queue: Queue, pinned_by_file: str) -> None:
    Controls(queue, "ada").pin("digits")
    for name in ("digits", pinned_by_file, "chat"):
        Registry(queue.redis).register(SpaceRecord(name, "1", "/app.py", "/", True, "", "/python", False, ()), None)
    pins = {space.name: space.terms.pinned for space in status_of(queue).spaces}
    assert pins == {"digits": True, pinned_by_file: True, "chat": False}


def test_a_task_keeps_its_readable_name_from_the_push_to_after_its_end(queue: Queue) -> None:
    for _ in range(3):
        pushed(queue)
    queue.end(claimed(queue).lease, Succeeded(Payload(b"")))
    claimed(queue)
    found = {task.state: task.label for task in status_of(queue).tasks}
    assert found == dict.fromkeys(("queued", "running", "succeeded"), "digits.generate")


def test_the_wait_at_the_end_of_each_queue_is_told(queue: Queue) -> None:
    queue.leases.beat("w1", WORKER)
    pushed(queue, estimate=30.0)
    pushed(queue, estimate=40.0)
    found = [(each.size, each.waiting, each.expected_wait) for each in status_of(queue).queues]
    assert found == [("large", 2, 70.0), ("xlarge", 0, None)]


def test_a_worker_is_not_drained_because_the_one_before_it_is(queue: Queue) -> None:
    """One that was killed seems to live for as long as its lease, beside the one that was started after it."""
    queue.leases.beat("gpu0@host:1", WORKER)
    Controls(queue, "ada").drain("gpu0@host:1")
    queue.leases.beat("gpu0@host:2", WORKER | {"pid": 2})
    assert {worker.pid: worker.drained for worker in status_of(queue).workers} == {1: True, 2: False}


def test_what_was_refused_is_told(queue: Queue) -> None:
    assert status_of(queue).refusals == ()
    strict = Queue(queue.redis, rules=replace(PLAIN, limits=Limits(space_queue=1)))
    pushed(strict)
    for _ in range(2):
        with pytest.raises(RefusedError):
            strict.push(make_task(), MESSAGE)
    assert status_of(queue).refusals == (Refusals("space_queue", 2),)
