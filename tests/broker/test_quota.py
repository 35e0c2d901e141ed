"""Quotas in the broker: reserved by the push, settled once by the end; and the messages of refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from spaces.errors import IllegalDuration, QuotaExceeded
from spaces.farm import wire
from spaces.farm.events import Cancelled, CrashCause, Crashed, End, Expired, Failed, Lost, Succeeded, TimedOut
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import DAY
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces.farm.queue.quota import Standing, is_charged
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.settings_file.tiers import QuotaRules, Tier
from spaces.farm.task import State, Task

from .support import MESSAGE, SIZES, claimed, expire_client, expire_worker, make_task, state_of

ADA = "user:ada"
RESULT = Succeeded(Payload(b"result"))


@pytest.fixture
def shared(queue: Queue) -> Queue:
    """The queue of a farm whose users have 60 s a day, 100 s for one task, and 3 tasks at once."""
    tiers = {"user": Tier("user", daily=60.0, longest=100.0, parallel=3), "anonymous": Tier("anonymous", daily=20.0)}
    return limited(queue, *tiers.values())


def limited(queue: Queue, *tiers: Tier, **options: float) -> Queue:
    quota = QuotaRules(enabled=True, tiers={tier.name: tier for tier in tiers}, **options)  # type: ignore[arg-type]
    return Queue(queue.redis, rules=Rules(quota=quota))


def task_of(visitor: str = ADA, estimate: float = 10.0, size: str = "large", time_limit: float = 60.0) -> Task:
    return replace(make_task(estimate=estimate, size=size), visitor=visitor, time_limit=time_limit)


def pushed(queue: Queue, visitor: str = ADA, estimate: float = 10.0, size: str = "large") -> Task:
    task = task_of(visitor, estimate, size)
    assert queue.push(task, MESSAGE)
    return task


def standing(queue: Queue, visitor: str = ADA) -> Standing:
    return queue.ledger.standing(visitor)


def run(queue: Queue, seconds: float, end: End = RESULT, size: str = "large", visitor: str = ADA) -> Task:
    """A task from its push to its end, after so many seconds on a GPU."""
    task = pushed(queue, visitor, min(seconds, 10.0), size)
    assert queue.end(claimed(queue).lease, end, held=seconds)
    return task


def age(queue: Queue, seconds: float, visitor: str = ADA) -> None:
    """As if everything that the ledger has of a visitor were so much older."""
    key = queue.keys.usage(visitor)
    for field in ("since", "at"):
        value = queue.redis.hget(key, field)
        queue.redis.hset(key, field, repr(float(value or 0) - seconds))


def refusal(queue: Queue, *arguments: object, **options: object) -> str:
    with pytest.raises(QuotaExceeded) as caught:
        queue.push(task_of(*arguments, **options), MESSAGE)  # type: ignore[arg-type]
    return str(caught.value)


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=1.0)


def test_a_push_reserves_what_the_task_is_expected_to_take(shared: Queue) -> None:
    pushed(shared, estimate=25.0)
    found = standing(shared)
    assert (found.quota.used, found.reserved, found.tasks) == (0.0, 25.0, 1)
    assert (found.quota.tier, found.quota.limit, found.quota.left) == ("user", 60.0, 35.0)
    assert found.quota.resets_in == about(DAY)


def test_the_end_charges_what_was_held_not_what_was_asked(shared: Queue) -> None:
    task = run(shared, 2.0)
    found = standing(shared)
    assert found.quota.used == about(2.0)
    assert (found.reserved, found.tasks) == (0.0, 0)
    assert float(shared.redis.hget(shared.keys.task(task.id), "charged") or 0) == pytest.approx(found.quota.used)


def test_a_task_that_takes_longer_than_expected_pays_for_it(shared: Queue) -> None:
    run(shared, 90.0)
    assert standing(shared).quota.used == about(90.0)
    assert standing(shared).quota.left == 0.0


def test_a_whole_gpu_counts_twice(shared: Queue) -> None:
    pushed(shared, estimate=5.0, size="xlarge")
    assert standing(shared).reserved == 10.0
    shared.end(claimed(shared).lease, RESULT, held=4.0)
    assert standing(shared).quota.used == about(8.0)


def test_waiting_costs_nothing(shared: Queue) -> None:
    task = pushed(shared)
    shared.redis.hset(shared.keys.task(task.id), "enqueued_at", 1.0)
    shared.end(claimed(shared).lease, RESULT)
    assert standing(shared).quota.used < 1.0


def test_a_task_cancelled_before_it_began_costs_nothing(shared: Queue) -> None:
    task = pushed(shared)
    assert shared.cancel(task.id, "changed my mind") is CancelOutcome.REMOVED
    assert standing(shared).quota.used == 0.0
    assert standing(shared).reserved == 0.0


def test_a_task_cancelled_while_it_ran_pays_for_what_it_held(shared: Queue) -> None:
    run(shared, 7.0, Cancelled("changed my mind"))
    assert standing(shared).quota.used == about(7.0)


@pytest.mark.parametrize(
    ("end", "charged"),
    [
        (RESULT, True),
        (TimedOut(60.0, 60.0), True),
        (Cancelled("the visitor left"), True),
        (Failed("builtins.ValueError", "too dark", "Traceback ..."), True),
        (Failed("spaces.errors.SpacesError", "the worker failed: no zygote", ""), False),
        (Failed("torch.OutOfMemoryError", "CUDA out of memory", "Traceback ..."), False),
        (Failed("MemoryError", "", "Traceback ..."), False),
        (Failed("RuntimeError", "DefaultCPUAllocator: can't allocate memory: you tried ...", "Traceback ..."), False),
        (Failed("torch.AcceleratorError", "CUDA error: out of memory", "Traceback ..."), False),
        (Failed("torch.AcceleratorError", "CUDA error: an illegal memory access", "Traceback ..."), True),
        (Failed("__main__.Refusal", "I ran CUDA out of memory", "Traceback ..."), True),
        (Crashed("was killed by SIGKILL, so it says itself"), True),
        (Crashed("exited with code 3", cause=CrashCause.FUNCTION), True),
        (Crashed("was killed", cause=CrashCause.KILLED), False),
        (Crashed("was killed", cause=CrashCause.OUT_OF_MEMORY), False),
        (Crashed("was killed", cause=CrashCause.FARM), False),
        (wire.unpack(wire.pack(Crashed("could not be made", cause=CrashCause.FARM))), False),
        (Expired("it waited longer than 12 h"), False),
        (Lost(3), False),
    ],
)
def test_failures_of_the_farm_cost_nothing(shared: Queue, end: End, charged: bool) -> None:
    assert is_charged(end) is charged
    if not isinstance(end, Expired | Lost):  # which no worker says of itself
        run(shared, 5.0, end)
        assert standing(shared).quota.used == (about(5.0) if charged else 0.0)
        assert standing(shared).reserved == 0.0


def test_an_end_said_twice_is_charged_once(shared: Queue) -> None:
    pushed(shared)
    lease = claimed(shared).lease
    assert shared.end(lease, RESULT, held=5.0)
    assert shared.end(lease, RESULT, held=5.0)
    assert standing(shared).quota.used == about(5.0)


def test_a_push_said_twice_reserves_once(shared: Queue) -> None:
    task = task_of()
    assert shared.push(task, MESSAGE)
    assert not shared.push(task, MESSAGE)
    assert (standing(shared).reserved, standing(shared).tasks) == (10.0, 1)


def test_a_task_whose_worker_died_pays_for_its_last_worker_alone(shared: Queue) -> None:
    task = pushed(shared)
    first = claimed(shared, "w1").lease
    expire_worker(shared, "w1")
    shared.leases.beat("w2")
    assert standing(shared).reserved == 10.0
    second = claimed(shared, "w2").lease
    assert not shared.end(first, RESULT, held=30.0)
    assert shared.end(second, RESULT, held=5.0)
    assert state_of(shared, task) is State.SUCCEEDED
    assert standing(shared).quota.used == about(5.0)
    assert standing(shared).reserved == 0.0


def test_a_released_task_pays_for_its_last_worker_alone(shared: Queue) -> None:
    pushed(shared)
    first = claimed(shared).lease
    assert shared.release(first)
    assert standing(shared).reserved == 10.0
    shared.end(claimed(shared).lease, RESULT, held=5.0)
    assert standing(shared).quota.used == about(5.0)


def test_the_time_in_which_a_child_is_made_costs_nothing(shared: Queue) -> None:
    """A visitor paid for the import of a Space, if theirs was its first call."""
    task = pushed(shared)
    lease = claimed(shared).lease
    shared.redis.hset(shared.keys.task(task.id), "started_at", 1.0)
    shared.end(lease, RESULT, held=2.0)
    assert standing(shared).quota.used == 2.0


def test_a_lost_task_costs_nothing_and_reserves_nothing(shared: Queue) -> None:
    task = pushed(shared)
    for attempt in range(shared.rules.attempts):
        claimed(shared, f"w{attempt}")
        expire_worker(shared, f"w{attempt}")
        shared.leases.beat("observer")
    assert state_of(shared, task) is State.LOST
    assert standing(shared).quota.used == 0.0
    assert standing(shared).reserved == 0.0


def test_a_cancelled_task_of_a_dead_worker_costs_nothing(shared: Queue) -> None:
    task = pushed(shared)
    claimed(shared)
    shared.cancel(task.id, "changed my mind")
    expire_worker(shared, "w1")
    shared.leases.beat("observer")
    assert state_of(shared, task) is State.CANCELLED
    assert (standing(shared).quota.used, standing(shared).tasks) == (0.0, 0)


def test_tasks_of_a_dead_web_process_free_what_they_reserved(shared: Queue) -> None:
    task = replace(task_of(), client="web-1")
    assert shared.push(task, MESSAGE)
    expire_client(shared, "web-1")
    shared.leases.beat("observer")
    assert standing(shared).tasks == 0


def test_a_short_job_is_not_refused_for_a_long_declaration(shared: Queue) -> None:
    """ZeroGPU compares the declared 60 s with the 12 s that are left, and refuses a job of 10 s."""
    run(shared, 48.0)
    redis, task = shared.redis, task_of(estimate=10.0, time_limit=60.0)
    assert shared.push(task, MESSAGE)
    assert redis.hget(shared.keys.task(task.id), "reserved") == b"10"


def test_a_job_is_requested_at_what_jobs_of_its_kind_took(shared: Queue) -> None:
    """A function that names no duration declares 60 s; one that is known to take 10 s fits into 12 s."""
    for _ in range(20):
        run(shared, 0.0, Succeeded(Payload(b"result"), seconds=10.0))
    run(shared, 47.0)
    assert shared.push(task_of(estimate=60.0, time_limit=60.0), MESSAGE)
    assert 10.0 <= standing(shared).reserved < 12.0


def test_a_refusal_says_what_was_requested_what_is_left_and_when_there_is_more(shared: Queue) -> None:
    run(shared, 47.5)
    age(shared, DAY - 3723.0)
    text = refusal(shared, estimate=60.0)
    words = "You have exceeded your user ZeroGPU quota (60s requested vs. 12s left). Try again in 1:0"
    assert text.startswith(words)
    assert QuotaExceeded.title == "ZeroGPU quota exceeded"
    assert shared.depth("large") == 0
    assert standing(shared).tasks == 0


def test_what_waits_and_runs_is_not_given_twice(shared: Queue) -> None:
    pushed(shared, estimate=50.0)
    assert refusal(shared, estimate=20.0) == (
        "You have exceeded your user ZeroGPU quota (20s requested vs. 10s left): the rest is allocated to tasks of "
        "yours that wait or run. Try again once some of those tasks have completed."
    )
    shared.end(claimed(shared).lease, RESULT)
    assert shared.push(task_of(estimate=20.0), MESSAGE)


def test_as_many_tasks_at_once_as_the_tier_allows(shared: Queue) -> None:
    tasks = [pushed(shared, estimate=1.0) for _ in range(3)]
    assert refusal(shared, estimate=1.0) == (
        "You have too many ZeroGPU tasks: 3 of yours wait or run, as many as your user quota allows. "
        "Try again once one of those tasks has completed."
    )
    shared.cancel(tasks[0].id, "make room")
    pushed(shared, estimate=1.0)


def test_what_can_never_be_is_refused_as_such(shared: Queue) -> None:
    with pytest.raises(IllegalDuration) as caught:
        shared.push(task_of(time_limit=101.0), MESSAGE)
    assert str(caught.value) == "The requested GPU duration (101s) is larger than the maximum allowed (100s)"
    assert caught.value.title == "ZeroGPU illegal duration"
    text = refusal(shared, "address:10.0.0.7", estimate=30.0)
    assert text == "The requested GPU duration (30s) is larger than the maximum allowed (20s a day)"


def test_refusals_are_counted(shared: Queue) -> None:
    refusal(shared, time_limit=101.0)
    assert shared.refused() == {"quota": 1}


def test_visitors_have_quotas_of_their_own(shared: Queue) -> None:
    run(shared, 60.0)
    refusal(shared)
    pushed(shared, "user:grace")
    pushed(shared, "address:10.0.0.7")
    assert [each.visitor for each in shared.ledger.all()] == [ADA, "address:10.0.0.7", "user:grace"]


def test_nobody_and_a_tier_without_a_table_have_no_limit(shared: Queue) -> None:
    pushed(shared, "", estimate=10_000.0)
    run(shared, 1000.0, visitor="space:digits")
    quota = standing(shared, "space:digits").quota
    assert (quota.tier, quota.limit, quota.left) == ("space", None, None)
    assert quota.used == about(1000.0)
    assert [each.visitor for each in shared.ledger.all()] == ["space:digits"]


def test_the_quota_is_whole_again_after_a_day(shared: Queue) -> None:
    run(shared, 60.0)
    refusal(shared)
    age(shared, DAY)
    assert (standing(shared).quota.used, standing(shared).quota.resets_in) == (0.0, 0.0)
    run(shared, 5.0)
    assert standing(shared).quota.used == about(5.0)
    assert standing(shared).quota.resets_in == about(DAY)


def test_what_vanished_without_an_end_reserves_nothing(shared: Queue) -> None:
    task = pushed(shared, estimate=50.0)
    shared.redis.delete(shared.keys.task(task.id))
    pushed(shared, estimate=50.0)
    assert standing(shared).reserved == 50.0


def test_usage_lowers_the_rank_and_halves_with_time(queue: Queue) -> None:
    shared = limited(queue, half_life=100.0, usage_weight=2.0)
    run(shared, 80.0)
    assert standing(shared).usage == about(80.0)
    age(shared, 100.0)
    assert standing(shared).usage == about(40.0)
    heavy, light = pushed(shared), pushed(shared, "user:grace")
    assert score(shared, heavy) - score(shared, light) == pytest.approx(80.0, abs=2.0)
    assert claimed(shared).lease.task.id == light.id


def test_without_a_weight_usage_does_not_count_in_the_rank(queue: Queue) -> None:
    shared = limited(queue, usage_weight=0.0)
    run(shared, 500.0)
    heavy, light = pushed(shared), pushed(shared, "user:grace")
    assert score(shared, heavy) < score(shared, light)


def test_with_quotas_off_nothing_is_kept_of_visitors(queue: Queue) -> None:
    run(queue, 500.0)
    assert queue.ledger.all() == []
    assert queue.redis.keys("*usage*") == queue.redis.keys("*reserved*") == []


def test_everything_kept_of_a_visitor_has_a_lifetime(shared: Queue) -> None:
    run(shared, 5.0)
    pushed(shared)
    assert DAY < shared.redis.ttl(shared.keys.usage(ADA)) <= DAY + 10 * 3600
    assert 0 < shared.redis.ttl(shared.keys.reserved(ADA)) <= DAY


def test_ends_settle_with_a_worker_that_knows_no_quotas(queue: Queue, shared: Queue) -> None:
    """The task carries the terms of its settlement, so a worker on another host needs no settings."""
    pushed(shared)
    lease = claimed(queue).lease
    assert queue.end(lease, RESULT, held=5.0)
    assert standing(shared).quota.used == about(5.0)


def score(queue: Queue, task: Task) -> float:
    found: Sequence[float | None] = [queue.redis.zscore(queue.keys.queue(size), task.id) for size in SIZES]
    return next(each for each in found if each is not None)
