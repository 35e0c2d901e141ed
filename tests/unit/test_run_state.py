"""The state of a run: every state meets every word of its own thread and of others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest

from spaces.farm.events import Cancelled, Crashed, Succeeded, TimedOut
from spaces.farm.payloads.payload import Payload
from spaces.farm.task import FunctionName
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.link.messages import RunTask
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.run.run_state import (
    GivenBack,
    NoAnswer,
    NotGiven,
    Over,
    Preparing,
    Reported,
    Running,
    RunState,
    State,
    Stopping,
    TryAgain,
)
from tests.waiting import PATIENCE

TASK = RunTask("1", "digits.generate", FunctionName("__main__", "generate"), Payload(b""), far=False)
ENOUGH = Cancelled("seen enough")
LATE = TimedOut(60.0, 60.0)
DONE = Succeeded(Payload(b"result"))
BROKEN = Crashed("was killed by SIGSEGV")
AWAY = GivenBack("its worker was stopped")


class StubChild:
    """Remembers the tasks that it was given."""

    def __init__(self) -> None:
        self.given: list[RunTask] = []

    def begin(self, task: RunTask) -> None:
        self.given.append(task)


class DeadChild:
    """Died while nobody looked."""

    def begin(self, task: RunTask) -> None:
        raise ChannelClosed("broken pipe")


CHILD = cast(ChildLink, StubChild())


def name_of(state: State) -> str:
    return " ".join(type(each).__name__ for each in (state, getattr(state, "answer", None)) if each is not None)


#: A state with the moves that lead to it.
WAYS: dict[State, list[Callable[[RunState], object]]] = {
    Preparing(): [],
    Running(CHILD): [lambda run: run.begin(CHILD, TASK)],
    Stopping(CHILD, ENOUGH): [lambda run: run.begin(CHILD, TASK), lambda run: run.stop(ENOUGH)],
    Over(ENOUGH, NotGiven()): [lambda run: run.stop(ENOUGH)],
    Over(BROKEN, NoAnswer()): [lambda run: run.begin(CHILD, TASK), lambda run: run.fail(BROKEN)],
    Over(DONE, Reported(DONE)): [lambda run: run.begin(CHILD, TASK), lambda run: run.hear(DONE)],
}
STATES = [pytest.param(state, id=name_of(state)) for state in WAYS]


def run_in(state: State) -> RunState:
    run = RunState()
    for move in WAYS[state]:
        move(run)
    assert run.now == state
    return run


@pytest.mark.parametrize("state", STATES)
def test_a_child_is_given_the_task_once_and_not_after_a_stop(state: State) -> None:
    run, child = run_in(state), StubChild()
    match state:
        case Preparing():
            assert run.begin(cast(ChildLink, child), TASK)
            assert run.now == Running(cast(ChildLink, child))
            assert child.given == [TASK]
        case Over():
            assert not run.begin(cast(ChildLink, child), TASK)
            assert (run.now, child.given) == (state, [])
        case _:
            with pytest.raises(RuntimeError, match="cannot begin"):
                run.begin(cast(ChildLink, child), TASK)
            assert (run.now, child.given) == (state, [])


@pytest.mark.parametrize("state", STATES)
def test_a_child_that_says_the_end_is_done_and_an_earlier_verdict_stands(state: State) -> None:
    run = run_in(state)
    match state:
        case Running():
            run.hear(DONE)
            assert run.now == Over(DONE, Reported(DONE))
        case Stopping(verdict=verdict):
            run.hear(DONE)
            assert run.now == Over(verdict, Reported(DONE))
        case _:
            with pytest.raises(RuntimeError, match="cannot hear"):
                run.hear(DONE)
            assert run.now == state


@pytest.mark.parametrize("state", STATES)
def test_a_child_that_fails_is_as_good_as_new_only_if_it_never_had_the_task(state: State) -> None:
    run = run_in(state)
    run.fail(BROKEN)
    match state:
        case Preparing():
            assert run.now == Over(BROKEN, NotGiven())
        case Running():
            assert run.now == Over(BROKEN, NoAnswer())
        case Stopping(verdict=verdict):
            assert run.now == Over(verdict, NoAnswer())
        case Over():
            assert run.now == state


@pytest.mark.parametrize("verdict", [ENOUGH, LATE, AWAY], ids=["cancelled", "timed out", "given back"])
@pytest.mark.parametrize("state", STATES)
def test_the_first_who_stops_a_run_decides_what_becomes_of_it(
    state: State, verdict: Cancelled | TimedOut | GivenBack
) -> None:
    run = run_in(state)
    stopped = run.stop(verdict)
    match state:
        case Preparing():
            assert (stopped, run.now) == (True, Over(verdict, NotGiven()))
        case Running():
            assert (stopped, run.now) == (True, Stopping(CHILD, verdict))
        case Stopping() | Over():
            assert (stopped, run.now) == (False, state)


@pytest.mark.parametrize("state", STATES)
def test_only_a_child_that_has_the_task_may_be_touched(state: State) -> None:
    touched: list[ChildLink] = []
    has_the_task = isinstance(state, Running | Stopping)
    assert run_in(state).with_child(touched.append) is has_the_task
    assert touched == ([CHILD] if has_the_task else [])


def test_a_task_that_could_not_be_given_to_its_child_was_not_given() -> None:
    """So it may run elsewhere, without a risk that it runs twice."""
    run = RunState()
    with pytest.raises(ChannelClosed):
        run.begin(cast(ChildLink, DeadChild()), TASK)
    assert isinstance(run.now, Preparing)
    run.fail(TryAgain(BROKEN))
    after: State = run.now
    assert after == Over(TryAgain(BROKEN), NotGiven())


def test_a_child_keeps_its_task_until_it_is_killed() -> None:
    """The race between a late kill and the next task: the kill would hit whatever the child runs by then."""
    run, heard = run_in(Running(CHILD)), threading.Event()

    def hear() -> None:
        run.hear(DONE)
        heard.set()

    thread = threading.Thread(target=hear)

    def kill(child: ChildLink) -> None:
        thread.start()
        assert not heard.wait(0.05)

    assert run.with_child(kill)
    thread.join(PATIENCE)
    assert run.now == Over(DONE, Reported(DONE))


@pytest.mark.parametrize("round_", range(50))
def test_of_many_who_stop_a_run_at_once_exactly_one_decides(round_: int) -> None:
    run, barrier = run_in(Running(CHILD)), threading.Barrier(8)
    decided: list[Cancelled] = []

    def stop(verdict: Cancelled) -> None:
        barrier.wait()
        if run.stop(verdict):
            decided.append(verdict)

    threads = [threading.Thread(target=stop, args=(Cancelled(f"by {number}"),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.hear(DONE)
    assert run.now == Over(decided[0], Reported(DONE))
    assert len(decided) == 1


def test_a_signal_handler_may_stop_a_run_while_its_own_thread_gives_the_task_to_the_child() -> None:
    """The worker's main thread gives tasks to warm children, and a cold shutdown interrupts it anywhere."""
    run = RunState()

    class InterruptedChild:
        def begin(self, task: RunTask) -> None:
            assert run.stop(AWAY)

    outcome: list[bool] = []
    thread = threading.Thread(
        target=lambda: outcome.append(run.begin(cast(ChildLink, InterruptedChild()), TASK)), daemon=True
    )
    thread.start()
    thread.join(PATIENCE)
    assert (outcome, run.now) == ([False], Over(AWAY, NoAnswer()))
