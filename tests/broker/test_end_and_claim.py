"""A task ends and its worker gets the next one in one step: both as they do apart."""

from __future__ import annotations

from spaces.farm.events import Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue import claiming
from spaces.farm.queue.control.controls import Controls
from spaces.farm.queue.estimates import Learned
from spaces.farm.queue.queue import Ended, Queue
from spaces.farm.queue.warmth import INDIFFERENT, Warmth
from spaces.farm.task import Lease, State, Task

from .support import claimed, events_of, expire_worker, pushed, said, state_of

RESULT = Succeeded(Payload(b"result"), 2.0)


def ended(
    queue: Queue, lease: Lease, *, warmth: Warmth = INDIFFERENT, in_hand: list[str] | None = None, hold: float = 0.0
) -> tuple[Ended, Lease | claiming.Reply]:
    """How the lease has ended, and the next one, or the answer if there is none."""
    arguments = claiming.arguments(queue.rules, lease.worker, ["large"], warmth, in_hand, hold)
    how, reply = queue.end_and_claim(lease, RESULT, 2.0, 0.0, arguments)
    found = queue.claimed(lease.worker, reply)
    return how, reply if found is None else found.lease


def has_ended(queue: Queue, task: Task) -> bool:
    return said(queue, task.id) == [RESULT] and state_of(queue, task) is State.SUCCEEDED


def test_the_best_task_follows_the_one_that_ends(queue: Queue) -> None:
    first = pushed(queue, estimate=1)
    cold, warm = pushed(queue, space="cold", estimate=1), pushed(queue, space="warm", estimate=3)
    lease = claimed(queue).lease
    assert lease.task == first
    assert ended(queue, lease, warmth=Warmth({"warm": 0.0}, unseen=5.0)) == (Ended.READ, Lease(warm, "w1", 1))
    assert has_ended(queue, first)
    assert (state_of(queue, warm), state_of(queue, cold)) == (State.RUNNING, State.QUEUED)
    assert queue.redis.smembers(queue.keys.held("w1")) == {warm.id.encode()}


def test_a_lease_that_is_lost_claims_nothing(queue: Queue) -> None:
    task = pushed(queue)
    lease = claimed(queue).lease
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    assert ended(queue, lease) == (Ended.NOT, None)
    assert state_of(queue, task) is State.QUEUED


def test_a_step_whose_answer_was_lost_hands_over_the_same_task_and_ends_none_twice(queue: Queue) -> None:
    first, second = pushed(queue, estimate=1), pushed(queue, estimate=2)
    third = pushed(queue, estimate=3)
    lease = claimed(queue).lease
    for attempt in (1, 2):
        assert ended(queue, lease, in_hand=[first.id]) == (Ended.READ, Lease(second, "w1", attempt))
    assert events_of(queue, first.id) == [(1, RESULT)]
    learned = [Learned.unpack(each.decode()) for each in queue.redis.hvals(queue.keys.learned("digits"))]  # type: ignore[union-attr]
    assert learned == [Learned(1, 2.0)]
    assert state_of(queue, third) is State.QUEUED


def test_a_drained_worker_ends_its_task_and_gets_no_other(queue: Queue) -> None:
    task, other = pushed(queue, estimate=1), pushed(queue, estimate=2)
    lease = claimed(queue).lease
    Controls(queue, "an operator").drain("w1")
    assert ended(queue, lease) == (Ended.READ, claiming.DRAINED)
    assert has_ended(queue, task)
    assert state_of(queue, other) is State.QUEUED


def test_no_task_of_a_paused_space_or_of_one_with_all_its_gpus_follows(queue: Queue) -> None:
    controls = Controls(queue, "an operator")
    controls.limit_gpus("full", 1)
    pushed(queue, space="full", estimate=1)
    claimed(queue, "w2")
    first = pushed(queue, estimate=1)
    for space in ("paused", "full"):
        pushed(queue, space=space, estimate=2)
    last = pushed(queue, estimate=100)
    controls.pause("paused")
    lease = claimed(queue).lease
    assert lease.task == first
    assert ended(queue, lease) == (Ended.READ, Lease(last, "w1", 1))


def test_a_space_with_one_gpu_goes_on_with_its_own_next_task(queue: Queue) -> None:
    """The task that ends counts no more when the next one is chosen."""
    Controls(queue, "an operator").limit_gpus("digits", 1)
    pushed(queue, estimate=1)
    second = pushed(queue, estimate=2)
    lease = claimed(queue).lease
    assert queue.claim("w2", ["large"]) is None
    assert ended(queue, lease) == (Ended.READ, Lease(second, "w1", 1))


def test_a_worker_that_finds_nothing_is_idle_and_silences_its_bells(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    assert ended(queue, lease, hold=1.0) == (Ended.READ, None)
    assert queue.redis.exists(queue.keys.bell("large")) == 0
    assert queue.redis.zscore(queue.keys.idle("large"), "w1") is not None
