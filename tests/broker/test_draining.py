"""`zerofarm drain --here`: the workers of a machine are drained, also one that has not joined the farm yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces import config
from spaces.farm.queue.control.controls import ControlFault, drained
from spaces.farm.queue.queue import Queue
from spaces_workers.commands.queue import drain as command
from spaces_workers.gpu.claim import Claim, claim
from spaces_workers.gpu.devices import standin
from tests.waiting import PATIENCE, wait_until

from .support import claimed, in_thread, pushed

INFO = {"node": "gpu0@pod", "pid": os.getpid()}


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(config.HOST, "pod")
    monkeypatch.setenv(config.RUN_DIR, str(tmp_path))
    return tmp_path


@pytest.fixture
def gpu(run_dir: Path) -> Iterator[Claim]:
    """This process is the worker gpu0, which has its GPU, and no lease yet."""
    with claim([standin(0)], run_dir) as made:
        made.name("gpu0")
        yield made


def drain_here(queue: Queue, broker_url: str, run_dir: Path) -> None:
    command.drain(None, here=True, redis_url=broker_url, state_dir=run_dir, run_dir=run_dir)


def test_a_worker_that_starts_is_drained_when_it_has_joined(
    queue: Queue, broker_url: str, run_dir: Path, gpu: Claim, capsys: pytest.CaptureFixture[str]
) -> None:
    queue.leases.beat("gpu0@pod:1", INFO | {"pid": 1})  # the one before it, which was killed
    draining = in_thread(lambda: drain_here(queue, broker_url, run_dir))
    draining.join(0.5)
    assert draining.is_alive(), "it did not wait for the worker that starts"
    queue.leases.beat("gpu0@pod:2", INFO)
    draining.join(PATIENCE)
    assert drained(queue) == {"gpu0@pod:2"}
    assert capsys.readouterr().out == "gpu0@pod is drained\n"


def test_a_worker_that_takes_the_place_of_a_drained_one_is_not_waited_for(
    queue: Queue, broker_url: str, run_dir: Path, gpu: Claim
) -> None:
    queue.leases.beat("gpu0@pod:1", INFO)
    pushed(queue)
    claimed(queue, "gpu0@pod:1")
    draining = in_thread(lambda: drain_here(queue, broker_url, run_dir))
    wait_until(lambda: drained(queue))
    assert draining.is_alive(), "it did not wait for the task"
    queue.leases.beat("gpu0@pod:2", INFO)
    pushed(queue)
    claimed(queue, "gpu0@pod:2")
    queue.leases.leave("gpu0@pod:1")
    wait_until(lambda: queue.leases.beat("gpu0@pod:2", INFO) and not draining.is_alive())


def test_where_no_worker_runs_none_is_said_to_be_drained(queue: Queue, broker_url: str, run_dir: Path) -> None:
    with pytest.raises(ControlFault, match="no worker runs on this machine"):
        drain_here(queue, broker_url, run_dir)


def test_a_worker_that_does_not_join_is_named(
    queue: Queue, broker_url: str, run_dir: Path, gpu: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "START", 0.1)
    with pytest.raises(ControlFault, match=r"gpu0@pod runs here, but after 0\.1 s has not joined"):
        drain_here(queue, broker_url, run_dir)
