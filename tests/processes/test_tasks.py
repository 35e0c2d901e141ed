"""What becomes of a task: every way it can end, and that the next one is none the worse for it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy
import psutil
import pytest

import spaces
from spaces.errors import ChildCrashed, EncodingError, RefusedError, TaskCancelled, TimeLimitExceeded
from spaces.farm.task import State
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until


def call(client: spaces.Farm, function: str, *args: object) -> object:
    return client.submit("faults", function, *args).result(timeout=PATIENCE)


def test_a_call_returns_its_value_from_another_process(client: spaces.Farm) -> None:
    assert call(client, "add", 1, 2) == 3
    assert call(client, "pid") != os.getpid()


def test_a_child_stays_warm_between_tasks(client: spaces.Farm) -> None:
    assert call(client, "pid") == call(client, "pid")


def test_a_task_does_not_run_on_the_main_thread(client: spaces.Farm) -> None:
    """As on ZeroGPU: no handlers of signals, and `asyncio.run` works."""
    assert call(client, "is_on_main_thread") is False


def test_a_generator_streams_and_returns(client: spaces.Farm) -> None:
    handle = client.submit("faults", "count", 5)
    assert list(handle) == [0, 1, 2, 3, 4]
    assert handle.result() == "counted"
    assert handle.state is State.SUCCEEDED


def test_coroutines_and_async_generators_run(client: spaces.Farm) -> None:
    assert call(client, "add_later", 1, 2) == 3
    assert list(client.submit("faults", "count_later", 3)) == [0, 1, 2]


def test_a_gpu_function_that_calls_another_runs_it_inline(client: spaces.Farm) -> None:
    assert call(client, "nested", 1, 2) == 6


def test_large_arrays_travel_both_ways(client: spaces.Farm) -> None:
    array = numpy.arange(2_000_000, dtype=numpy.float32).reshape(1000, 2000)
    echoed = call(client, "echo", array)
    assert isinstance(echoed, numpy.ndarray)
    assert (echoed == array).all()
    echoed[0, 0] = 7  # what arrives is the caller's own


def test_no_payload_is_left_in_shared_memory(client: spaces.Farm, shared_farm: Farm) -> None:
    call(client, "echo", numpy.zeros(1_000_000))
    assert list((shared_farm.run_dir / "blobs").glob("*")) == []


def test_an_error_arrives_as_itself_and_the_child_stays_warm(client: spaces.Farm) -> None:
    before = call(client, "pid")
    with pytest.raises(ValueError, match="no such prompt") as caught:
        call(client, "fail")
    assert "in fail" in str(caught.value.__cause__)
    assert call(client, "pid") == before


def test_a_function_without_a_match_raises_stop_iteration_and_its_parameters_have_any_name(client: spaces.Farm) -> None:
    """It arrived as `RuntimeError: generator raised StopIteration`, and these keywords were taken by the farm."""
    first_above = client.function("faults", "first_above", duration=30)
    assert first_above.submit([1, 5, 9], self="me", duration=3, timeout=3).result(timeout=PATIENCE) == 5
    with pytest.raises(StopIteration):
        first_above.submit([1], self="me", duration=3, timeout=3).result(timeout=PATIENCE)
    handle = client.submit("faults", "first_above", [1, 5, 9], self="me", timeout=3, duration=30)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'duration'"):
        handle.result(timeout=PATIENCE)


def test_yields_before_an_error_are_delivered(client: spaces.Farm) -> None:
    values = iter(client.submit("faults", "yield_then_fail"))
    assert [next(values), next(values)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(values)


def test_a_child_that_leaves_or_crashes_says_how(client: spaces.Farm) -> None:
    with pytest.raises(ChildCrashed, match="exited with code 3"):
        call(client, "leave")
    with pytest.raises(ChildCrashed, match="was killed by SIGSEGV"):
        call(client, "crash")
    assert call(client, "add", 1, 1) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_ends_itself_by_a_signal_returns_nothing(client: spaces.Farm, number: signal.Signals) -> None:
    """A library that gives up raises SIGTERM. The child handled it, for the time limit: a wrong value came back."""
    with pytest.raises(ChildCrashed, match=f"was killed by {number.name}, which the farm did not send"):
        call(client, "give_up_by_signal", int(number))
    assert call(client, "add", 1, 1) == 2


def test_a_result_that_cannot_be_sent_says_so(client: spaces.Farm) -> None:
    with pytest.raises(EncodingError, match=r"return_lock\(\) returned"):
        call(client, "return_lock")
    assert call(client, "add", 1, 1) == 2


def test_an_argument_that_cannot_be_sent_is_refused_before_it_is_queued(client: spaces.Farm, shared_farm: Farm) -> None:
    with pytest.raises(EncodingError, match="cannot be sent to a GPU worker"):
        client.submit("faults", "same_lock", threading.Lock())
    assert shared_farm.queue.depth("large") == 0


def test_a_space_or_function_that_is_not_there_is_refused_with_those_that_are(client: spaces.Farm) -> None:
    with pytest.raises(RefusedError, match="knows no Space 'nowhere'; it serves: faults"):
        client.submit("nowhere", "add")
    with pytest.raises(RefusedError, match=r"has no function 'nothing'; its GPU functions are: .*add"):
        client.submit("faults", "nothing")


def test_a_loop_in_c_is_killed_at_its_limit_and_says_how_to_ask_for_more(
    shared_farm: Farm, client: spaces.Farm
) -> None:
    handle = client.submit("faults", "loop_in_c")
    with pytest.raises(TimeLimitExceeded, match=r"stopped after 2 s: it asked for 2 s. Raise @spaces.GPU\(duration="):
        handle.result(timeout=PATIENCE)
    state = shared_farm.queue.state(handle.id)
    assert state is not None
    assert state.state is State.TIMED_OUT
    assert state.ended_at is not None
    assert state.started_at is not None
    assert 2 <= state.ended_at - state.started_at < 60  # 2 s and the grace; the rest is for slow machines
    assert call(client, "add", 1, 1) == 2


def test_a_generator_that_falls_silent_is_stopped_at_its_limit(client: spaces.Farm) -> None:
    handle = client.submit("faults", "count", 2, 600.0, duration=1)
    values = iter(handle)
    assert next(values) == 0
    with pytest.raises(TimeLimitExceeded, match=r"faults\.count was stopped after 1 s: it asked for 1 s"):
        next(values)


def test_a_function_may_tidy_up_within_the_grace(client: spaces.Farm, tmp_path: Path) -> None:
    with pytest.raises(TimeLimitExceeded):
        call(client, "tidy_up", str(tmp_path / "note"))
    assert (tmp_path / "note").read_text() == "tidied"


def test_a_queued_task_that_is_cancelled_never_runs(client: spaces.Farm, tmp_path: Path) -> None:
    running = client.submit("faults", "reversed_when", str(tmp_path / "end"), b"ab")
    wait_until(lambda: running.state is State.RUNNING)
    queued = client.submit("faults", "leave")
    assert queued.position == 0
    assert queued.eta is not None
    assert 0 <= queued.eta <= 660
    queued.cancel("changed my mind")
    with pytest.raises(TaskCancelled, match="changed my mind"):
        queued.result(timeout=PATIENCE)
    (tmp_path / "end").touch()
    assert running.result(timeout=PATIENCE) == b"ba"


def test_a_cancelled_generator_is_closed_and_its_child_stays_warm(client: spaces.Farm) -> None:
    before = call(client, "pid")
    handle = client.submit("faults", "count", 10_000, 0.01)
    values = iter(handle)
    assert next(values) == 0
    handle.cancel("seen enough")
    with pytest.raises(TaskCancelled, match="seen enough"):
        list(values)
    assert call(client, "pid") == before


def test_a_cancelled_plain_function_is_killed_with_what_it_started(client: spaces.Farm, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    handle = client.submit("faults", "spawn", str(note))
    grandchild = int(wait_until(lambda: note.exists() and note.read_text()) or 0)
    handle.cancel("the visitor left")
    with pytest.raises(TaskCancelled, match="the visitor left"):
        handle.result(timeout=PATIENCE)
    wait_until(lambda: not psutil.pid_exists(grandchild))
    assert call(client, "add", 1, 1) == 2


def test_a_generator_does_not_run_far_ahead_of_its_reader(client: spaces.Farm, tmp_path: Path) -> None:
    note = tmp_path / "number"
    handle = client.submit("faults", "run_ahead", str(note), 5000)
    values = iter(handle)
    next(values)
    wait_until(lambda: int(note.read_text() or 0) > 200)
    assert int(note.read_text() or 0) < 2000
    assert sum(1 for _ in values) == 4999


def test_a_child_holds_none_of_the_farm_s_secrets(client: spaces.Farm, shared_farm: Farm) -> None:
    environment = call(client, "environment")
    assert isinstance(environment, dict)
    assert not {"ZEROFARM_URL", "ZEROFARM_KEY", "REDIS_URL"} & environment.keys()
    assert shared_farm.broker.url not in environment.values()


def test_two_children_draw_different_random_numbers(client: spaces.Farm) -> None:
    first = call(client, "draw")
    with pytest.raises(ChildCrashed):
        call(client, "leave")
    assert call(client, "draw") != first


def test_a_space_whose_script_fails_says_so_with_its_traceback(client: spaces.Farm, shared_farm: Farm) -> None:
    record = shared_farm.register("broken")
    del record
    with shared_farm.client("broken") as caller, pytest.raises(RefusedError):
        caller.submit("broken", "anything")
