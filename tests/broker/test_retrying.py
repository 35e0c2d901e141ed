"""An operator retries a failed task: a new task with the old arguments, as long as the farm keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from redis import ConnectionError as BrokerGone

from spaces.errors import QuotaExceeded, RefusedError, SpacesError
from spaces.farm.events import Cancelled, Crashed, End, Failed, Succeeded, TimedOut
from spaces.farm.links.detached import keep_outcome, read_detached
from spaces.farm.links.retrying import retry, retryable
from spaces.farm.payloads.payload import Blob, Payload
from spaces.farm.queue.control.audit import Action, Audit
from spaces.farm.queue.counters import bounds
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import FunctionRecord, Registry, SpaceRecord
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.scripts import source
from spaces.farm.queue.settings_file.tiers import QuotaRules, Tier
from spaces.farm.size import Size
from spaces.farm.task import FunctionName, State, Task

from .support import MESSAGE, PLAIN, claimed, expire_worker, make_task, pushed, state_of

FAULT = Failed("builtins.ValueError", "no such prompt", "a traceback", seconds=1.0)
GENERATE = FunctionRecord(FunctionName("__main__", "generate"), 60.0, Size.LARGE, yields=False)
DIGITS = SpaceRecord("digits", "v2", "/app.py", "/", True, "host", "/python", False, (GENERATE,))


@pytest.fixture(autouse=True)
def space(queue: Queue) -> None:
    Registry(queue.redis).register(DIGITS, None)


def ended(queue: Queue, end: End, task: Task | None = None) -> Task:
    task = task or make_task()
    queue.push(task, MESSAGE.replace(b"a message", task.id.encode()))
    queue.end(claimed(queue).lease, end, 1.0)
    return task


@pytest.mark.parametrize(
    "end", [FAULT, Crashed("was killed by SIGSEGV"), TimedOut(61.0, 60.0)], ids=lambda end: type(end).__name__
)
def test_a_failed_task_is_queued_again_as_a_new_task(queue: Queue, end: End) -> None:
    failed = ended(
        queue, end, replace(make_task(client="a page"), host="here", reader="an inbox", revision="v1", version=1)
    )
    assert retryable(queue) == [failed.id]
    again = retry(queue, failed.id, "ada on here")
    assert again == replace(failed, id=again.id, client="", host="", reader="", revision="v2")
    found = claimed(queue)
    assert (found.lease.task, found.message) == (again, MESSAGE.replace(b"a message", again.id.encode()))
    assert [replace(each, at=0.0) for each in Audit(queue.redis).latest(1)] == [
        Action("ada on here", "retry", failed.id, f"as {again.id}")
    ]


def test_a_task_whose_workers_died_can_be_retried(queue: Queue) -> None:
    lost = pushed(queue)
    for _ in range(PLAIN.attempts):
        claimed(queue)
        expire_worker(queue, "w1")
        queue.leases.beat("w2")
    assert state_of(queue, lost) is State.LOST
    assert state_of(queue, retry(queue, lost.id, "ada")) is State.QUEUED


def test_the_outcome_of_a_retried_task_can_be_read_by_its_id(queue: Queue) -> None:
    again = retry(queue, ended(queue, FAULT).id, "ada")
    queue.end(claimed(queue).lease, Succeeded(Payload(b"drawn")))
    assert queue.redis.hexists(queue.keys.task(again.id), "task")
    assert queue.redis.hexists(queue.keys.task(again.id), "detached")


def test_a_failed_task_with_arguments_for_a_retry_is_read_by_its_id_only_if_its_program_kept_it(queue: Queue) -> None:
    """The arguments are kept for an operator; they were taken for those of a program that had called `detach`."""
    left, kept = ended(queue, FAULT), make_task()
    queue.push(kept, MESSAGE)
    keep_outcome(queue, kept)
    queue.end(claimed(queue).lease, FAULT)
    assert retryable(queue) == [kept.id, left.id]
    assert read_detached(queue, kept.id).id == kept.id
    with pytest.raises(RefusedError, match=r"call handle.detach\(\) there"):
        read_detached(queue, left.id)


def test_a_task_that_was_retried_and_failed_can_be_retried_again(queue: Queue) -> None:
    again = retry(queue, ended(queue, FAULT).id, "ada")
    queue.end(claimed(queue).lease, FAULT)
    assert state_of(queue, retry(queue, again.id, "ada")) is State.QUEUED


def test_a_function_that_was_made_inside_a_handler_is_retried(queue: Queue) -> None:
    """It travels with the arguments, and no Space registers it."""
    failed = ended(queue, FAULT, replace(make_task(), function=FunctionName("__main__", "handler.<locals>.draw")))
    assert retry(queue, failed.id, "ada").function == failed.function


def test_a_failed_task_is_retried_once(queue: Queue) -> None:
    """Two operators, or two clicks of one, have once started two tasks, and both were charged."""
    failed = ended(queue, FAULT)
    again = retry(queue, failed.id, "ada")
    assert retryable(queue) == []
    with pytest.raises(RefusedError, match=f"task {failed.id} was retried as task {again.id}"):
        retry(queue, failed.id, "bob")
    assert queue.depth(Size.LARGE) == 1


def test_a_task_whose_retry_was_cancelled_can_be_retried_again(queue: Queue) -> None:
    failed = ended(queue, FAULT)
    queue.cancel(retry(queue, failed.id, "ada").id, "not that one")
    assert retryable(queue) == [failed.id]
    assert state_of(queue, retry(queue, failed.id, "ada")) is State.QUEUED


class Deaf(Queue):
    """The queue over a link that breaks after each push."""

    def push(self, task: Task, message: bytes, retried: str = "") -> bool:
        super().push(task, message, retried)
        raise BrokerGone("the answer was lost")


def test_a_retry_whose_answer_was_lost_does_not_run_and_is_recorded(queue: Queue) -> None:
    """Its operator was told that it failed, and it ran, without a record."""
    failed = ended(queue, FAULT)
    with pytest.raises(BrokerGone):
        retry(Deaf(queue.redis, rules=PLAIN), failed.id, "ada")
    assert queue.claim("w1", ["large"]) is None
    assert [(action.verb, action.target) for action in Audit(queue.redis).latest(1)] == [("retry", failed.id)]
    assert retryable(queue) == [failed.id]


def _large() -> Task:
    return replace(make_task(), arguments=Payload(blob=Blob("memory", "0" * 32, "host", 2**20)))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda queue: "0" * 32, "the farm does not know task 0+: a task is forgotten 60 min after its end"),
        (lambda queue: pushed(queue).id, "cannot be retried: its state is 'queued'"),
        (lambda queue: ended(queue, Succeeded(Payload())).id, "cannot be retried: its state is 'succeeded'"),
        (lambda queue: ended(queue, Cancelled("enough")).id, "cannot be retried: its state is 'cancelled'"),
        (
            lambda queue: ended(queue, FAULT, _large()).id,
            "are gone: larger ones than 64 KiB .*, or its process is of an earlier",
        ),
    ],
)
def test_what_cannot_be_retried_says_why(queue: Queue, make: Callable[[Queue], str], complaint: str) -> None:
    task = make(queue)
    with pytest.raises(SpacesError, match=complaint):
        retry(queue, task, "ada")
    assert Audit(queue.redis).latest(1) == []


def test_a_task_of_a_space_that_is_gone_is_not_retried(queue: Queue) -> None:
    failed = ended(queue, FAULT)
    Registry(queue.redis).forget("digits")
    with pytest.raises(RefusedError, match="the farm knows no Space 'digits'"):
        retry(queue, failed.id, "ada")


def test_large_arguments_and_those_of_other_ends_are_not_kept(queue: Queue) -> None:
    for end, task in ((FAULT, _large()), (Succeeded(Payload()), None), (Cancelled("enough"), None)):
        gone = ended(queue, end, task)
        assert queue.redis.hmget(queue.keys.task(gone.id), "task", "message") == [None, None]
    assert retryable(queue) == []


def test_only_the_latest_failed_tasks_keep_their_arguments(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces.farm.queue.scripts.RETRYABLE", 2)
    source.cache_clear()
    few = Queue(queue.redis, rules=PLAIN)
    failed = [ended(few, FAULT).id for _ in range(3)]
    source.cache_clear()
    assert retryable(queue) == failed[:0:-1]
    with pytest.raises(
        SpacesError, match=f"keeps those of the latest {bounds.RETRYABLE} failed tasks, for 60 min, or its pro"
    ):
        retry(queue, failed[0], "ada")


def test_the_list_of_kept_arguments_lives_as_long_as_outcomes(queue: Queue) -> None:
    ended(queue, FAULT)
    assert 0 < queue.redis.ttl(Keys().retryable()) <= PLAIN.limits.outcome_lifetime


def test_a_retried_task_is_charged_to_its_visitor_like_others(queue: Queue) -> None:
    metered = Queue(
        queue.redis, rules=Rules(quota=QuotaRules(True, tiers={"anonymous": Tier("anonymous", daily=15.0)}))
    )
    failed, other = (ended(metered, FAULT, replace(make_task(), visitor="address:192.0.2.7")) for _ in range(2))
    again = retry(metered, failed.id, "ada")
    assert metered.ledger.standing("address:192.0.2.7").tasks == 1
    with pytest.raises(QuotaExceeded, match="exceeded your anonymous ZeroGPU quota"):
        retry(metered, other.id, "ada")
    assert again.visitor == failed.visitor
    assert Audit(queue.redis).latest(1)[0].detail.startswith("refused: ")
