"""Random interleavings of everything that can happen to tasks, against a model of a few lines.

No task is lost, none ends twice, the order is exact, nothing is written without a lease, no key is left for ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from spaces.farm.events import Cancelled, End, Expired, Lost, Said, Succeeded, is_end, state_after
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue import claiming, estimates
from spaces.farm.queue.control.controls import Controls
from spaces.farm.queue.estimates import Learned
from spaces.farm.queue.leases import CLIENT_GONE
from spaces.farm.queue.queue import CancelOutcome, LeaseLost, Queue
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Lease, State

from .support import MESSAGE, PLAIN, SIZES, events_of, expire_client, expire_worker, leaked_keys, make_task

WORKERS = ("w1", "w2", "w3")
OBSERVER = "observer"  # beats, and so reaps, but never claims
SPACES = ("digits", "names", "search")
CLIENTS = ("web-1", "web-2")
WARMTHS = st.builds(Warmth, st.dictionaries(st.sampled_from(SPACES), st.floats(0, 200)), st.floats(0, 200))
TIME_LIMIT = 60.0  # of every task that is made here
TOO_LONG = PLAIN.limits.waited_too_long

#: Nobody dies by the clock, however slow the machine is.
PATIENT = replace(PLAIN, worker_lease=3600.0, client_lease=3600.0, away=3600.0)


@dataclass
class Modelled:
    """The model's state of a task."""

    size: str
    space: str
    client: str
    score: float
    state: State = State.QUEUED
    worker: str = ""
    attempt: int = 0
    lost: int = 0
    reason: str | None = None
    said: int = 0
    end: End | None = None

    def finish(self, end: End) -> None:
        assert self.end is None
        self.end, self.state = end, state_after(end)

    def give_back(self) -> None:
        self.worker = ""
        if self.reason is not None:
            self.finish(Cancelled(self.reason))
        else:
            self.state = State.QUEUED

    def cancel(self, reason: str) -> CancelOutcome:
        if self.state is State.QUEUED:
            self.finish(Cancelled(reason))
            return CancelOutcome.REMOVED
        if self.state is State.RUNNING:
            self.reason = self.reason or reason
            return CancelOutcome.TOLD
        return CancelOutcome.ENDED


@dataclass
class Model:
    tasks: dict[str, Modelled] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    most: dict[str, int] = field(default_factory=dict)
    priority: dict[str, int] = field(default_factory=dict)
    learned: dict[str, Learned] = field(default_factory=dict)  # by Space: they have one function, with one time limit

    def estimate(self, space: str, declared: float) -> float:
        known = self.learned.get(space)
        return declared if known is None else estimates.estimate(known, TIME_LIMIT, PLAIN.rank)

    def learn(self, space: str, seconds: float) -> None:
        if seconds > 0:
            self.learned[space] = estimates.update(self.learned.get(space, Learned()), seconds, PLAIN.rank)

    def holds(self, lease: Lease) -> bool:
        task = self.tasks[lease.task.id]
        return (task.state, task.worker, task.attempt) == (State.RUNNING, lease.worker, lease.attempt)

    def waiting(self, size: str, space: str | None = None) -> list[str]:
        found = [
            (task.score, name)
            for name, task in self.tasks.items()
            if task.state is State.QUEUED and task.size == size and space in (None, task.space)
        ]
        return [name for _, name in sorted(found)]

    def running(self, worker: str) -> list[Modelled]:
        return [task for task in self.tasks.values() if task.state is State.RUNNING and task.worker == worker]

    def in_line(self, size: str) -> list[str]:
        return [name for name in self.waiting(size) if self.tasks[name].space not in self.paused]

    def is_full(self, space: str) -> bool:
        running = [task for task in self.tasks.values() if task.state is State.RUNNING and task.space == space]
        return len(running) >= self.most.get(space, len(self.tasks) + 1)

    def best(self, worker: str, sizes: list[str], warmth: Warmth) -> str | None:
        if worker in self.drained:
            return None
        ranked = [
            (self.tasks[name].score + min(warmth.unseen, warmth.seconds.get(self.tasks[name].space, math.inf)), name)
            for size in sizes
            for name in self.in_line(size)
            if not self.is_full(self.tasks[name].space)
        ]
        return min(ranked)[1] if ranked else None


class QueueMachine(RuleBasedStateMachine):
    queue: Queue

    tasks: Bundle[str] = Bundle("tasks")
    leases: Bundle[Lease] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.queue.redis.flushall()
        self.model = Model()

    @rule(
        target=tasks,
        size=st.sampled_from(SIZES),
        space=st.sampled_from(SPACES),
        client=st.sampled_from(("", *CLIENTS)),
        estimate=st.integers(1, 300),
    )
    def push(self, size: str, space: str, client: str, estimate: int) -> str:
        task = make_task(size=size, space=space, client=client, estimate=float(estimate))
        assert self.queue.push(task, MESSAGE)
        assert not self.queue.push(task, MESSAGE)
        score = self.queue.redis.zscore(self.queue.keys.waiting(size, space), task.id)
        state = self.queue.state(task.id)
        assert score is not None
        assert state is not None
        ahead = self.model.priority.get(space, 0)
        assert score == state.enqueued_at + self.model.estimate(space, estimate) - ahead
        self.model.tasks[task.id] = Modelled(size, space, client, score)
        return task.id

    @rule(
        target=leases,
        worker=st.sampled_from(WORKERS),
        sizes=st.lists(st.sampled_from(SIZES), min_size=1, unique=True),
        warmth=WARMTHS,
    )
    def claim(self, worker: str, sizes: list[str], warmth: Warmth) -> Lease | MultipleResults[Lease]:
        expected = self.model.best(worker, sizes, warmth)
        found = self.queue.claim(worker, sizes, warmth)
        if found is None:
            assert expected is None
            return multiple()
        assert found.lease.task.id == expected
        return self._taken(found.lease)

    @rule(target=leases, worker=st.sampled_from(WORKERS), warmth=WARMTHS, hold=st.sampled_from((0.001, 0.1, 10.0)))
    def claim_or_rest(self, worker: str, warmth: Warmth, hold: float) -> Lease | MultipleResults[Lease]:
        """Which task is left to whom depends on the time; that it goes to one worker, and is not lost, does not."""
        found = self.queue.claim(worker, SIZES, warmth, hold=hold)
        if found is None:
            return multiple()
        task = self.model.tasks[found.lease.task.id]
        assert worker not in self.model.drained
        assert task.space not in self.model.paused
        assert not self.model.is_full(task.space)
        return self._taken(found.lease)

    @rule(space=st.sampled_from(SPACES))
    def pause(self, space: str) -> None:
        assert self._controls.pause(space) == (space not in self.model.paused)
        self.model.paused.add(space)

    @rule(space=st.sampled_from(SPACES))
    def resume(self, space: str) -> None:
        assert self._controls.resume(space) == (space in self.model.paused)
        self.model.paused.discard(space)

    @rule(worker=st.sampled_from(WORKERS))
    def drain(self, worker: str) -> None:
        assert self._controls.drain(worker) == (worker not in self.model.drained)
        self.model.drained.add(worker)

    @rule(worker=st.sampled_from(WORKERS))
    def undrain(self, worker: str) -> None:
        assert self._controls.undrain(worker) == (worker in self.model.drained)
        self.model.drained.discard(worker)

    @rule(space=st.sampled_from(SPACES), most=st.sampled_from((None, 1, 2)))
    def limit_gpus(self, space: str, most: int | None) -> None:
        self._controls.limit_gpus(space, most)
        self.model.most.pop(space, None)
        if most is not None:
            self.model.most[space] = most

    @rule(space=st.sampled_from(SPACES), seconds=st.integers(-600, 600))
    def prefer(self, space: str, seconds: int) -> None:
        self._controls.prefer(space, seconds)
        self.model.priority[space] = seconds

    @property
    def _controls(self) -> Controls:
        return Controls(self.queue, "an operator")

    @rule(lease=leases)
    def append(self, lease: Lease) -> None:
        if self.model.holds(lease):
            assert self.queue.append(lease, [Said("a"), Said("b")]) == 0
            self.model.tasks[lease.task.id].said += 2
        else:
            with pytest.raises(LeaseLost):
                self.queue.append(lease, [Said("too late")])

    @rule(lease=leases, seconds=st.floats(0, TIME_LIMIT))
    def end(self, lease: Lease, seconds: float) -> None:
        result = Succeeded(Payload(b"result"), seconds)
        task = self.model.tasks[lease.task.id]
        held = self.model.holds(lease)
        had_ended_it = task.end is not None and (task.worker, task.attempt) == (lease.worker, lease.attempt)
        assert bool(self.queue.end(lease, result)) == (held or had_ended_it)
        if held:
            task.finish(result)
            self.model.learn(task.space, seconds)

    @rule(
        target=leases,
        lease=leases,
        sizes=st.lists(st.sampled_from(SIZES), min_size=1, unique=True),
        warmth=WARMTHS,
        seconds=st.floats(0, TIME_LIMIT),
    )
    def end_and_claim(
        self, lease: Lease, sizes: list[str], warmth: Warmth, seconds: float
    ) -> Lease | MultipleResults[Lease]:
        """As `end` and `claim`, one after the other; without the claim if the lease is lost."""
        result = Succeeded(Payload(b"result"), seconds)
        task = self.model.tasks[lease.task.id]
        held = self.model.holds(lease)
        had_ended_it = task.end is not None and (task.worker, task.attempt) == (lease.worker, lease.attempt)
        claim = claiming.arguments(self.queue.rules, lease.worker, sizes, warmth, None, 0.0)
        how, reply = self.queue.end_and_claim(lease, result, 0.0, None, claim)
        assert bool(how) == (held or had_ended_it)
        if held:
            task.finish(result)
            self.model.learn(task.space, seconds)
        expected = self.model.best(lease.worker, sizes, warmth) if how else None
        found = self.queue.claimed(lease.worker, reply)
        assert expected == (None if found is None else found.lease.task.id)
        return multiple() if found is None else self._taken(found.lease)

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        held = self.model.holds(lease)
        assert bool(self.queue.release(lease)) == held
        if held:
            self.model.tasks[lease.task.id].give_back()

    @rule(worker=st.sampled_from(WORKERS))
    def leave(self, worker: str) -> None:
        running = self.model.running(worker)
        assert self.queue.leases.leave(worker) == len(running)
        for task in running:
            task.give_back()

    @rule(worker=st.sampled_from(WORKERS))
    def beat(self, worker: str) -> None:
        cancelled = self.queue.leases.beat(worker).cancelled
        reasons = sorted(task.reason for task in self.model.running(worker) if task.reason is not None)
        assert sorted(cancelled.values()) == reasons

    @rule(worker=st.sampled_from(WORKERS))
    def worker_dies(self, worker: str) -> None:
        expire_worker(self.queue, worker)
        self.queue.leases.beat(OBSERVER)
        for task in self.model.running(worker):
            task.lost += 1
            if task.lost >= 3 and task.reason is None:
                task.worker = ""
                task.finish(Lost(3))
            else:
                task.give_back()

    @rule(client=st.sampled_from(CLIENTS))
    def client_dies(self, client: str) -> None:
        expire_client(self.queue, client)
        self.queue.leases.beat(OBSERVER)
        for task in self.model.tasks.values():
            if task.client == client:
                task.cancel(CLIENT_GONE)

    @rule(chosen=st.lists(tasks, max_size=3))
    def wait_too_long(self, chosen: list[str]) -> None:
        late = {name for name in chosen if self.model.tasks[name].state is State.QUEUED}
        for name in late:
            self.queue.redis.zadd(self.queue.keys.arrivals(), {name: 1.0})
        assert self.queue.expire() == len(late)
        for name in late:
            self.model.tasks[name].finish(Expired(TOO_LONG))

    @rule(task=tasks, reason=st.sampled_from(("the visitor left", "an operator said so")))
    def cancel(self, task: str, reason: str) -> None:
        assert self.queue.cancel(task, reason) is self.model.tasks[task].cancel(reason)

    def _taken(self, lease: Lease) -> Lease:
        task = self.model.tasks[lease.task.id]
        assert task.state is State.QUEUED
        task.state, task.worker, task.attempt = State.RUNNING, lease.worker, task.attempt + 1
        assert lease.attempt == task.attempt
        return lease

    @invariant()
    def the_order_is_exact(self) -> None:
        keys, redis = self.queue.keys, self.queue.redis
        for size in SIZES:
            assert names(redis.zrange(keys.queue(size), 0, -1)) == self.model.in_line(size)
            for space in SPACES:
                assert names(redis.zrange(keys.waiting(size, space), 0, -1)) == self.model.waiting(size, space)

    @invariant()
    def all_that_waits_is_known_by_its_arrival(self) -> None:
        waiting = {name for size in SIZES for name in self.model.waiting(size)}
        assert set(names(self.queue.redis.zrange(self.queue.keys.arrivals(), 0, -1))) == waiting

    @invariant()
    def the_tasks_of_a_space_that_run_are_counted(self) -> None:
        for space in SPACES:
            running = [n for n, task in self.model.tasks.items() if task.state is State.RUNNING and task.space == space]
            assert self.queue.redis.smembers(self.queue.keys.on_gpus(space)) == {name.encode() for name in running}

    @invariant()
    def every_run_is_learned_once(self) -> None:
        for space in SPACES:
            stored = cast(list[bytes], self.queue.redis.hvals(self.queue.keys.learned(space)))
            known = self.model.learned.get(space)
            assert [Learned.unpack(each.decode()) for each in stored] == ([] if known is None else [known])

    @invariant()
    def every_task_is_where_the_model_has_it(self) -> None:
        for name, task in self.model.tasks.items():
            state = self.queue.state(name)
            assert state is not None
            assert (state.state, state.worker, state.attempt) == (task.state, task.worker, task.attempt)
        for worker in WORKERS:
            held = {name.decode() for name in self.queue.redis.smembers(self.queue.keys.held(worker))}  # type: ignore[union-attr]
            assert len(held) == len(self.model.running(worker))

    @invariant()
    def every_end_is_told_once_and_last(self) -> None:
        for name, task in self.model.tasks.items():
            said = [event for _, event in events_of(self.queue, name)]
            ends = [event for event in said if is_end(event)]
            assert ends == ([] if task.end is None else [task.end])
            assert len(said) == task.said + len(ends)
            assert not ends or said[-1] == ends[0]

    @invariant()
    def no_key_is_left_for_ever(self) -> None:
        assert leaked_keys(self.queue) == []


def names(members: object) -> list[str]:
    return [member.decode() for member in members]  # type: ignore[attr-defined]


def test_random_interleavings_agree_with_the_model(queue: Queue) -> None:
    QueueMachine.queue = Queue(queue.redis, rules=PATIENT)
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
