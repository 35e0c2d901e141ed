"""The ranked queue: every move of a task, from its push to its end, is one method here and one script in the broker.

Web processes push and cancel, workers claim, append and end; whoever died is noticed in `leases.py`. A method either
has happened or raises redis's ConnectionError or TimeoutError, and then may be called again without harm.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, cast

import msgpack

from spaces.errors import SpacesError
from spaces.farm import wire
from spaces.farm.events import Cancelled, End, Event, Expired, Failed, Succeeded, TimedOut, state_after
from spaces.farm.queue import claiming, estimates, quota, settings
from spaces.farm.queue.claiming import Claimed, Reply
from spaces.farm.queue.estimates import Learned
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.leases import Leases
from spaces.farm.queue.limits import refusal, size_of
from spaces.farm.queue.outlook import Outlook
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.scripts import Scripts
from spaces.farm.queue.warmth import INDIFFERENT, Warmth
from spaces.farm.task import Lease, Size, State, Task

if TYPE_CHECKING:
    from redis import Redis


class LeaseLost(SpacesError):
    """The task was given to another worker, or has ended; nothing was written. Stop working on it."""


class CancelOutcome(StrEnum):
    """What `Queue.cancel` found."""

    REMOVED = "removed"  #: it was waiting; it has ended as cancelled
    TOLD = "told"  #: it runs; its worker was told to stop it
    ENDED = "ended"  #: it had ended before
    UNKNOWN = "unknown"  #: there is no such task, or its lifetime is over


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where a task is. Times are the broker's, in seconds since the epoch."""

    state: State
    position: int | None  #: tasks ahead of it, 0 for the next one; None when it does not wait
    attempt: int  #: workers that have taken it so far
    worker: str  #: who runs it, or ended it
    enqueued_at: float
    started_at: float | None
    ended_at: float | None


class Queue:
    """Tasks by rank, over one connection to the broker."""

    def __init__(self, redis: Redis, keys: Keys | None = None, rules: Rules | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()
        self.rules = rules or settings.current()
        self.scripts = Scripts(redis, self.keys)

    @cached_property
    def leases(self) -> Leases:
        """Who is alive."""
        return Leases(self.redis, self.scripts, self.keys, self.rules)

    @cached_property
    def ledger(self) -> quota.Ledger:
        """What visitors have used of their quotas."""
        return quota.Ledger(self.redis, self.keys, self.scripts, self.rules.quota)

    @cached_property
    def outlook(self) -> Outlook:
        """Where tasks stand, and how long they will wait."""
        return Outlook(self.redis, self.scripts, self.keys)

    def push(self, task: Task, message: bytes) -> bool:
        """Accept a task, with the estimate that was learned from earlier ones of its kind, or else its own.

        False if it had been accepted before: a push may be repeated when its answer was lost. Raises RefusedError.
        """
        reply = self.scripts.run("push", self.keys.task(task.id), *self._pushed(task, message))
        if isinstance(reply, int):
            return bool(reply)
        limit, *facts = map(_text, reply)
        if limit == "quota":
            raise quota.exceeded(self.rules.quota, task, facts[0], facts[1:])
        raise refusal(task, limit, facts)

    def estimate(self, task: Task) -> float:
        """The seconds that a task is expected to take, by what is known now; its own estimate where nothing is.

        `push.lua` computes the same for itself, which saves each push a round trip.
        """
        known = cast(bytes | None, self.redis.hget(self.keys.learned(task.space), _kind(task)))
        if known is None:
            return task.estimate
        return estimates.estimate(Learned.unpack(_text(known)), task.time_limit, self.rules.rank)

    def claim(
        self,
        worker: str,
        sizes: Sequence[str],
        warmth: Warmth = INDIFFERENT,
        in_hand: Collection[str] | None = None,
        hold: float = 0.0,
        device: str = "",
    ) -> Claimed | None:
        """Take the best task of these sizes, or None.

        `warmth` has the seconds that this worker needs to begin a task of each Space, which count like waiting.
        `in_hand` has the ids of the tasks that the worker knows to hold; one that it holds without knowing, because
        the answer to a claim was lost, is then handed over again. A worker that waits for its bells when it gets None
        gives a `hold`: for so long it leaves a young task to an idle worker that would begin it sooner, and the other
        way round. With the name of its `device`, the task says `Started` in the same step.
        """
        arguments = claiming.arguments(self.rules, worker, sizes, warmth, in_hand, hold, device)
        return self.claimed(worker, self.scripts.run("claim", self.keys.workers(), *arguments))

    def append(self, lease: Lease, events: Sequence[Event], batch: int = 0) -> int:
        """Write events to the task's stream. Returns the credits that its reader gave since the last call.

        A batch with a number is written once, however often it is sent; numbers count upwards from 1 in each lease.
        Raises LeaseLost.
        """
        packed = [wire.pack(event) for event in events]
        tokens = int(self.scripts.run("append", self.keys.task(lease.task.id), *_fence(lease), batch, *packed))
        if tokens < 0:
            raise LeaseLost(f"task {lease.task.id} is no longer held by {lease.worker}, attempt {lease.attempt}")
        return tokens

    def end(self, lease: Lease, end: End) -> bool:
        """End a running task, once, and learn from it. False if its lease is lost; True if this lease has ended it."""
        return self._end(lease.task.id, lease.worker, lease.attempt, end, _kind(lease.task)) >= 0

    def release(self, lease: Lease) -> bool:
        """Put a task back to its old place, not counted against it. False if the lease is lost."""
        return bool(self.scripts.run("release", self.keys.task(lease.task.id), *_fence(lease)))

    def cancel(self, task: str, reason: str) -> CancelOutcome:
        """Stop a task: a waiting one ends at once, of a running one the worker is told."""
        event = wire.pack(Cancelled(reason))
        return CancelOutcome(_text(self.scripts.run("cancel", self.keys.task(task), task, reason, event)))

    def expire(self) -> int:
        """End what has waited longer than a task may. Returns how many there were; there may be more."""
        limits = self.rules.limits
        event = wire.pack(Expired(limits.waited_too_long))
        arguments = (limits.longest_wait, limits.waited_too_long, event)
        return int(self.scripts.run("expire", self.keys.arrivals(), *arguments))

    def refused(self) -> dict[str, int]:
        """How many tasks each limit has refused or ended lately, by its name."""
        counts = cast(dict[bytes, bytes], self.redis.hgetall(self.keys.refused()))
        return {_text(limit): int(count) for limit, count in sorted(counts.items())}

    def state(self, task: str) -> TaskState | None:
        """Where a task is, or None if the broker does not know it (any more)."""
        reply = self.scripts.run("state", self.keys.task(task), task)
        return None if reply is None else _state(*reply)

    def position(self, task: str) -> int | None:
        """How many tasks are ahead in the queue of its size, or None if it does not wait."""
        state = self.state(task)
        return None if state is None else state.position

    def depth(self, size: str) -> int:
        """How many tasks of a size wait."""
        return self.redis.zcard(self.keys.queue(size))

    def waiting(self, space: str) -> int:
        """How many tasks of a Space wait."""
        return sum(self.redis.zcard(self.keys.waiting(size, space)) for size in Size)

    def purge(self, size: str, reason: str = "the queue was emptied") -> int:
        """Cancel every waiting task of a size; returns how many."""
        count = 0
        while ids := cast(list[bytes], self.redis.zrange(self.keys.queue(size), 0, 999)):
            outcomes = [self.cancel(_text(task), reason) for task in ids]
            count += outcomes.count(CancelOutcome.REMOVED)
            if CancelOutcome.UNKNOWN in outcomes:  # outlived its lifetime: nothing is left but its place
                self.redis.zrem(self.keys.queue(size), *ids)
        return count

    def claimed(self, worker: str, reply: Reply) -> Claimed | None:
        """What `claim.lua` answered: None also if all that waits is left to others for `moment` seconds.

        A task that this version cannot read ends as failed, and None is returned.
        """
        if reply is None or isinstance(reply, bytes):
            return None
        task_id, size, message, packed, attempt = cast(tuple[bytes, bytes, bytes, bytes, int], tuple(reply))
        try:
            task = wire.unpack(packed)
        except (ValueError, TypeError) as error:
            self._end(_text(task_id), worker, attempt, Failed(type(error).__name__, str(error), traceback=""))
            return None
        return Claimed(Lease(task, worker, attempt), message, _text(size))

    def _end(self, task: str, worker: str, attempt: int, end: End, kind: str = "") -> int:
        how = (state_after(end), wire.pack(end), _lesson(end), kind, self.rules.rank.memory, int(quota.is_charged(end)))
        return int(self.scripts.run("end", self.keys.task(task), task, worker, attempt, *how))

    def _pushed(self, task: Task, message: bytes) -> list[str | bytes | float]:
        return [
            task.id,
            wire.pack(task),
            message,
            task.label,
            task.space,
            task.size,
            task.client,
            task.estimate,
            task.time_limit,
            size_of(task.arguments),
            _kind(task),
            quota.terms(self.rules.quota, task),
            self._rules_packed,
            task.reader,
        ]

    @cached_property
    def _rules_packed(self) -> bytes:
        """What `push.lua` must know of the rules; one argument, for each costs the client as much as the broker."""
        rank, limits = self.rules.rank, self.rules.limits
        packed: bytes = msgpack.packb(
            {
                "weight": rank.weight,
                "floor": rank.floor,
                "cap": rank.cap,
                "doubt": rank.doubt,
                "space_queue": limits.space_queue,
                "farm_queue": limits.farm_queue,
                "payload_bytes": limits.payload_bytes,
                "client_lease": self.rules.client_lease,
            }
        )
        return packed


def _kind(task: Task) -> str:
    """Which tasks of a Space learn together: those of one function that may take about as long."""
    return f"{task.function} {estimates.step(task.time_limit)}"


def _lesson(end: End) -> str:
    """The seconds from which the farm learns; nothing where a run was cut short by something else than its limit."""
    match end:
        case Succeeded(seconds=seconds) | TimedOut(seconds=seconds) if seconds > 0:
            return repr(seconds)
        case _:
            return ""


def _fence(lease: Lease) -> tuple[str, str, int]:
    return lease.task.id, lease.worker, lease.attempt


def _text(value: bytes) -> str:
    return value.decode()


def _state(
    state: bytes,
    position: int | None,
    attempt: bytes,
    worker: bytes | None,
    enqueued_at: bytes,
    started_at: bytes | None,
    ended_at: bytes | None,
) -> TaskState:
    return TaskState(
        state=State(_text(state)),
        position=position,
        attempt=int(attempt),
        worker=_text(worker or b""),
        enqueued_at=float(enqueued_at),
        started_at=float(started_at) if started_at else None,
        ended_at=float(ended_at) if ended_at else None,
    )
