"""A task whose reader is gone, in any way, leaves nothing in shared memory or in the broker."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import spaces
from spaces.errors import TaskCancelled, TimeLimitExceeded
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.queue.keys import PAYLOAD
from spaces.farm.values.codec import Encoded
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until

SIZE = 2**20


@pytest.fixture(params=["same host", "another host"])
def caller(shared_farm: Farm, request: pytest.FixtureRequest) -> spaces.Farm:
    return shared_farm.client(near=request.param == "same host")


def expect_none_left(farm: Farm) -> None:
    wait_until(lambda: not farm.payloads(), otherwise=farm.payloads)


def read_slowly(values: Iterator[bytes]) -> None:
    for value in values:
        time.sleep(0.02)
        assert len(value) == SIZE


def expect_end(handle: spaces.TaskHandle) -> None:
    wait_until(lambda: handle.state.final)


def test_a_stream_that_is_left_leaves_nothing(shared_farm: Farm, caller: spaces.Farm) -> None:
    """53 files of five frames stayed in shared memory for good, and 0.2 GB of a caller that was slow to leave."""
    with caller, caller.submit("faults", "frames", 1000, SIZE) as handle:
        for _, frame in zip(range(5), handle, strict=False):
            assert len(frame) == SIZE
        wait_until(lambda: len(shared_farm.payloads()) > 20)
    expect_none_left(shared_farm)


def test_a_stream_that_a_coroutine_leaves_leaves_nothing(shared_farm: Farm, caller: spaces.Farm) -> None:
    async def watch() -> None:
        async with caller.submit("faults", "frames", 1000, SIZE) as handle:
            async for _ in handle:
                break

    with caller:
        asyncio.run(watch())
        expect_none_left(shared_farm)


def test_a_handle_that_is_garbage_leaves_nothing(shared_farm: Farm, caller: spaces.Farm, tmp_path: Path) -> None:
    """The task still runs; its result and its arguments are discarded at its end."""
    with caller:
        handle = caller.submit("faults", "reversed_when", str(tmp_path / "go"), bytes(SIZE))
        state = shared_farm.queue.state
        task = handle.id
        assert shared_farm.payloads()
        del handle
        gc.collect()
        (tmp_path / "go").touch()
        wait_until(lambda: (found := state(task)) is not None and found.state.final)
        expect_none_left(shared_farm)


def test_a_result_that_nobody_asks_for_leaves_nothing(shared_farm: Farm, caller: spaces.Farm) -> None:
    with caller:
        handle = caller.submit("faults", "echo", bytes(SIZE))
        expect_end(handle)
        assert shared_farm.payloads()
        del handle
        gc.collect()
        expect_none_left(shared_farm)


def test_a_queued_task_that_is_left_leaves_nothing(shared_farm: Farm, caller: spaces.Farm, tmp_path: Path) -> None:
    with caller:
        running = caller.submit("faults", "reversed_when", str(tmp_path / "go"), b"ab")
        wait_until(lambda: running.state == "running")
        with caller.submit("faults", "echo", bytes(SIZE)) as waiting:
            assert waiting.state == "queued"
        (tmp_path / "go").touch()
        assert running.result(timeout=PATIENCE) == b"ba"
        expect_none_left(shared_farm)


def test_a_stream_that_is_cancelled_can_be_read_on(shared_farm: Farm, caller: spaces.Farm) -> None:
    """After a cancellation the caller may still read the yields: they are not discarded before."""
    with caller:
        handle = caller.submit("faults", "frames", 1000, SIZE)
        values = iter(handle)
        assert len(next(values)) == SIZE
        handle.cancel()
        with pytest.raises(TaskCancelled):
            read_slowly(values)
    expect_none_left(shared_farm)


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise RuntimeError"])
def test_a_script_that_ends_while_its_task_runs_leaves_nothing(shared_farm: Farm, tmp_path: Path, end: str) -> None:
    """Its argument and its result stayed for good. The task itself still runs."""
    script = f"""
import sys, spaces
from dataclasses import replace
from pathlib import Path
from spaces import config

with config.stand_in(replace(config.current(), run_dir=Path({str(shared_farm.run_dir)!r}), host="test-host")):
    farm = spaces.Farm({shared_farm.broker.url!r})
handle = farm.submit("faults", "reversed_when", {str(tmp_path / "go")!r}, bytes({SIZE}))
print(handle.id)
{end}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE)
    task = done.stdout.strip()
    assert task, done.stderr
    assert shared_farm.payloads()
    (tmp_path / "go").touch()
    wait_until(lambda: (found := shared_farm.queue.state(task)) is not None and found.state == "succeeded")
    expect_none_left(shared_farm)


def test_values_that_a_late_function_leaves_unsent_are_discarded(shared_farm: Farm, caller: spaces.Farm) -> None:
    """A generator that is ahead of a slow reader is stopped by its limit: its unsent values stayed."""
    with caller:
        handle = caller.submit("faults", "frames", 100_000, SIZE, duration=2)
        with pytest.raises(TimeLimitExceeded):
            read_slowly(iter(handle))
        expect_none_left(shared_farm)


def test_a_worker_that_is_taken_for_dead_leaves_nothing(own_farm: Farm) -> None:
    """The values that its child had said, and it had not passed on when its lease was lost, stayed."""
    first = own_farm.start_worker()
    with own_farm.client(near=True) as caller, caller.submit("faults", "frames", 10_000, 100_000) as handle:
        values = iter(handle)
        next(values)
        wait_until(lambda: len(own_farm.payloads()) > 400)  # those in the stream, and more that wait for credit
        own_farm.start_worker("cpu1")
        os.kill(first.pid, signal.SIGSTOP)
        wait_until(lambda: len(own_farm.queue.leases.workers()) == 1)
        os.kill(first.pid, signal.SIGCONT)
        wait_until(lambda: len(own_farm.queue.leases.workers()) == 2)
    expect_none_left(own_farm)


def test_a_nursery_sweeps_what_is_older_than_any_task(own_farm: Farm) -> None:
    """Of processes that were killed; nothing that a waiting task may need."""
    store = SharedMemoryStore(own_farm.run_dir, "test-host")
    old, young = store.write(Encoded(b"old")), store.write(Encoded(b"young"))
    folder = own_farm.run_dir / "blobs"
    for blob, age in ((old, PAYLOAD + 60), (young, PAYLOAD - 60)):
        os.utime(folder / blob.name, (time.time() - age,) * 2)
    own_farm.start_worker()
    wait_until(lambda: not (folder / old.name).exists())
    assert (folder / young.name).exists()
    store.delete(young)
