"""Claiming: the best task for this worker, exactly, and none twice."""

from __future__ import annotations

import random
import threading
from itertools import pairwise

from spaces.farm.connection import connect
from spaces.farm.events import Started
from spaces.farm.queue.keys import WAITING
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Lease, State
from spaces.farm.version import VERSION
from tests.waiting import PATIENCE, wait_until

from .support import MESSAGE, SIZES, claimed, events_of, in_thread, make_task, pushed, state_of

#: A worker where the Space `warm` begins at once, and any other after 5 s.
WARM = Warmth({"warm": 0.0}, unseen=5.0)


def test_a_claimed_task_is_running_and_held_by_its_worker(queue: Queue) -> None:
    task = pushed(queue)
    found = queue.claim("w1", ["large"])
    assert found is not None
    assert found.lease == Lease(task, "w1", 1)
    assert (found.message, found.size) == (MESSAGE, "large")
    state = queue.state(task.id)
    assert state is not None
    assert (state.state, state.position, state.attempt, state.worker) == (State.RUNNING, None, 1, "w1")
    assert state.started_at is not None
    assert state.enqueued_at <= state.started_at
    assert queue.redis.smembers(queue.keys.held("w1")) == {task.id.encode()}
    assert (queue.depth("large"), queue.waiting("digits")) == (0, 0)


def test_a_claim_gives_the_task_a_new_lifetime(queue: Queue) -> None:
    task = pushed(queue)
    queue.redis.expire(queue.keys.task(task.id), 60)
    claimed(queue)
    assert queue.redis.ttl(queue.keys.task(task.id)) > WAITING - 5


def test_a_task_says_where_it_has_started_in_the_step_that_claims_it(queue: Queue) -> None:
    task = pushed(queue)
    assert queue.claim("w1", ["large"], device="cpu") is not None
    assert queue.redis.ttl(queue.keys.events(task.id)) > WAITING - 5
    assert queue.claim("w1", ["large"], in_hand=[], device="cpu") is not None  # as if the answer had been lost
    assert events_of(queue, task.id) == [(attempt, Started("w1", "cpu", VERSION)) for attempt in (1, 2)]


def test_a_claim_that_finds_nothing_silences_the_bells_of_its_sizes(queue: Queue) -> None:
    pushed(queue, size="large")
    pushed(queue, size="xlarge")
    assert queue.claim("w1", ["large"]) is not None
    assert queue.claim("w1", ["large"]) is None
    assert queue.redis.exists(queue.keys.bell("large")) == 0
    assert queue.redis.llen(queue.keys.bell("xlarge")) == 1


def test_a_claim_leaves_the_bell_while_there_may_be_more(queue: Queue) -> None:
    pushed(queue)
    claimed(queue)
    assert queue.redis.llen(queue.keys.bell("large")) == 1


def test_a_worker_is_given_only_sizes_that_it_serves(queue: Queue) -> None:
    pushed(queue, size="xlarge", estimate=1.0)
    large = pushed(queue, size="large", estimate=300.0)
    found = queue.claim("w1", ["large"])
    assert found is not None
    assert found.lease.task == large
    assert queue.claim("w1", ["large"]) is None


def test_of_several_sizes_the_best_task_is_taken(queue: Queue) -> None:
    tasks = [
        pushed(queue, size=size, estimate=seconds) for size, seconds in (("large", 30), ("xlarge", 10), ("large", 20))
    ]
    order = [claimed(queue).lease.task for _ in tasks]
    assert order == [tasks[1], tasks[2], tasks[0]]


def test_five_hundred_tasks_come_out_in_the_exact_order_of_their_rank(queue: Queue) -> None:
    chance = random.Random(7)
    tasks = [
        pushed(queue, space=f"space-{chance.randrange(20)}", size=chance.choice(SIZES), estimate=chance.uniform(1, 300))
        for _ in range(500)
    ]
    scores = {task.id: float(queue.redis.hget(queue.keys.task(task.id), "score") or 0) for task in tasks}
    order = [scores[claimed(queue).lease.task.id] for _ in tasks]
    assert sum(first > second for first, second in pairwise(order)) == 0
    assert order == sorted(scores.values())


def test_a_warm_space_is_preferred_within_its_bonus(queue: Queue) -> None:
    cold = pushed(queue, space="cold", estimate=10.0)
    warm = pushed(queue, space="warm", estimate=14.0)
    assert queue.claim("w1", ["large"], WARM) is not None
    assert state_of(queue, warm) is State.RUNNING
    assert state_of(queue, cold) is State.QUEUED


def test_a_warm_space_is_not_preferred_beyond_its_bonus(queue: Queue) -> None:
    cold = pushed(queue, space="cold", estimate=10.0)
    pushed(queue, space="warm", estimate=16.0)
    found = queue.claim("w1", ["large"], WARM)
    assert found is not None
    assert found.lease.task == cold


def test_of_two_warm_spaces_the_one_that_saves_more_comes_first(queue: Queue) -> None:
    pushed(queue, space="near", estimate=10.0)
    far = pushed(queue, space="far", estimate=12.0)
    found = queue.claim("w1", ["large", "xlarge"], Warmth({"near": 49.0, "far": 42.0, "absent": 0.0}, unseen=50.0))
    assert found is not None
    assert found.lease.task == far


def test_a_cold_task_waits_no_longer_than_the_bonus_under_full_warm_load(queue: Queue) -> None:
    """Every warm task that arrives later than the bonus after the cold one ranks behind it."""
    cold = pushed(queue, space="cold", estimate=10.0)
    for _ in range(20):
        pushed(queue, space="warm", estimate=10.0)
    queue.redis.zincrby(queue.keys.queue("large"), -5.0, cold.id)
    found = queue.claim("w1", ["large"], WARM)
    assert found is not None
    assert found.lease.task == cold


def test_a_task_whose_lifetime_is_over_is_passed_over_and_cleaned_away(queue: Queue) -> None:
    gone = pushed(queue, estimate=1.0)
    left = pushed(queue, estimate=2.0)
    queue.redis.delete(queue.keys.task(gone.id))
    assert claimed(queue).lease.task == left
    assert (queue.depth("large"), queue.waiting("digits")) == (0, 1)
    assert queue.claim("w1", SIZES) is None


def test_what_is_left_of_it_in_its_space_is_cleaned_away_where_that_is_warm(queue: Queue) -> None:
    gone = pushed(queue, estimate=1.0)
    queue.redis.delete(queue.keys.task(gone.id))
    assert queue.claim("w1", SIZES) is None
    left = pushed(queue, estimate=2.0)
    found = queue.claim("w1", SIZES, Warmth({"digits": 0.0}, unseen=5.0))
    assert found is not None
    assert found.lease.task == left
    assert (queue.depth("large"), queue.waiting("digits")) == (0, 0)


def test_a_task_whose_claim_was_never_answered_is_handed_over_again(queue: Queue) -> None:
    """The connection broke after the claim was executed: without this, a live worker would hold the task for ever."""
    task = pushed(queue)
    assert claimed(queue).lease.task == task
    again = queue.claim("w1", SIZES, in_hand=[])
    assert again is not None
    assert again.lease == Lease(task, "w1", 2)
    assert queue.claim("w1", SIZES, in_hand=[task.id]) is None


def test_a_worker_that_keeps_no_account_is_handed_nothing_again(queue: Queue) -> None:
    pushed(queue)
    claimed(queue)
    assert queue.claim("w1", SIZES) is None


def test_a_task_that_cannot_be_read_ends_as_failed(queue: Queue) -> None:
    """A worker of another version must not stumble over it for ever."""
    task = pushed(queue)
    queue.redis.hset(queue.keys.task(task.id), "task", b"\xc1")
    assert queue.claim("w1", SIZES) is None
    state = queue.state(task.id)
    assert state is not None
    assert state.state is State.FAILED


def test_many_workers_never_get_the_same_task(queue: Queue, broker_url: str) -> None:
    tasks = {pushed(queue).id for _ in range(200)}
    taken: list[str] = []

    def work(worker: str) -> None:
        with connect(broker_url) as redis:
            own = Queue(redis)
            while (found := own.claim(worker, SIZES)) is not None:
                taken.append(found.lease.task.id)

    threads = [in_thread(lambda worker=f"w{number}": work(worker)) for number in range(4)]  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert len(taken) == 200
    assert set(taken) == tasks


def test_an_idle_worker_is_woken_by_a_push_and_does_not_poll(queue: Queue, broker_url: str) -> None:
    woken = threading.Event()

    def wait_for_the_bell() -> None:
        with connect(broker_url) as redis:
            redis.brpop([queue.keys.bell("large"), queue.keys.bell("xlarge")], timeout=10 * PATIENCE)
            woken.set()

    thread = in_thread(wait_for_the_bell)
    wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 1)
    queue.push(make_task(size="xlarge"), MESSAGE)
    assert woken.wait(PATIENCE)
    thread.join()
