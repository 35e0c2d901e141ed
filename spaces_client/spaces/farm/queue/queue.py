"""The ranked queue: each state change of a task, from push to end, is one method here and one script in the broker.

Web processes push and cancel; workers claim, append and end; `leases.py` detects dead processes. A method takes full
effect or raises redis's ConnectionError or TimeoutError; it can then be called again without harm.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, cast

from spaces.errors import RefusedError, SpacesError
from spaces.farm import wire
from spaces.farm.events import Cancelled, End, Event, Expired, state_after
from spaces.farm.queue import claiming, estimates, pushing, quota, settings
from spaces.farm.queue.claiming import Claimed, Reply
from spaces.farm.queue.counters import ending
from spaces.farm.queue.estimates import Learned
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.leases import Leases
from spaces.farm.queue.limits import refusal
from spaces.farm.queue.outlook import Outlook
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.scripts import Scripts
from spaces.farm.queue.task_state import TaskState, task_state
from spaces.farm.queue.warmth import INDIFFERENT, Warmth
from spaces.farm.size import Size
from spaces.farm.task import Lease, Task

if TYPE_CHECKING:
    from redis import Redis

#: The reason for which a withdrawn task ends.
NOT_QUEUED = "its caller was told that it was not queued"


class LeaseLost(SpacesError):
    """The task was given to another worker, or has ended; nothing was written. Stop working on it."""


class CancelOutcome(StrEnum):
    """The outcome of `Queue.cancel`."""

    REMOVED = "removed"  #: it was waiting, and has ended as cancelled
    TOLD = "told"  #: it runs, and its worker was told to stop it
    ENDED = "ended"  #: it had ended before
    UNKNOWN = "unknown"  #: no such task exists, or its lifetime is over


class Ended(IntEnum):
    """How a lease has ended."""

    NOT = 0  #: it was lost before
    READ = 1  #: the task has ended, and somebody may read what it said
    UNREAD = 2  #: the task has ended, and nobody will, see `spaces.farm.stream.unread`
    WAITS = 3  #: the task waits again: another lease follows


class Queue:
    """Tasks by rank, over one connection to the broker."""

    def __init__(self, redis: Redis, keys: Keys | None = None, rules: Rules | None = None) -> None:
        self.redis = redis
        self.keys = keys or Keys()
        self.rules = rules or settings.current()
        self.scripts = Scripts(redis, self.keys, self.rules.limits.outcome_lifetime)

    @cached_property
    def leases(self) -> Leases:
        """The leases of workers and web processes."""
        return Leases(self.redis, self.scripts, self.keys, self.rules)

    @cached_property
    def ledger(self) -> quota.Ledger:
        """The visitors' usage of their quotas."""
        return quota.Ledger(self.redis, self.keys, self.scripts, self.rules.quota)

    @cached_property
    def outlook(self) -> Outlook:
        """The places and expected waits of tasks."""
        return Outlook(self.redis, self.scripts, self.keys)

    def push(self, task: Task, message: bytes, retried: str = "") -> bool:
        """Accept a task, ranked by the estimate learned from earlier runs of its kind, or else by its own.

        False if it had been accepted before: a push may be repeated if its answer was lost. `retried` has the id of the
        failed task that it runs again; then its outcome is kept for readers by its id. Raises RefusedError.
        """
        reply = self.scripts.run(
            "push", self.keys.task(task.id), *pushing.arguments(self.rules, task, message, retried)
        )
        if isinstance(reply, int):
            return bool(reply)
        limit, *facts = map(_text, reply)
        if limit == "quota":
            raise quota.exceeded(self.rules.quota, task, facts[0], facts[1:])
        raise refusal(task, limit, facts)

    def estimate(self, task: Task) -> float:
        """The seconds that a task is expected to take, as learned so far; its own estimate if nothing was learned.

        `push.lua` computes the same itself, which saves each push a round trip.
        """
        known = cast(bytes | None, self.redis.hget(self.keys.learned(task.space), estimates.kind(task)))
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

        `warmth` has the seconds that this worker needs to begin a task of each Space; they count like waiting time.
        `in_hand` has the ids of the tasks that the worker knows it holds; a task that it holds unknowingly, because
        the answer to a claim was lost, is handed over again. `hold` is for a worker that waits for its bells after
        None: for so many seconds a new task is left to an idle worker that would begin it sooner. If `device` is
        given, the event `Started` is written to the task's stream in the same step.
        """
        arguments = claiming.arguments(self.rules, worker, sizes, warmth, in_hand, hold, device)
        return self.claimed(worker, self.scripts.run("claim", self.keys.workers(), *arguments))

    def append(self, lease: Lease, events: Sequence[Event], batch: int = 0) -> int:
        """Write events to the task's stream. Returns the credits that its reader has given since the last call.

        A numbered batch is written once, however often it is sent; numbers count up from 1 in each lease.
        Raises LeaseLost.
        """
        packed = [wire.pack(event) for event in events]
        tokens = int(self.scripts.run("append", self.keys.task(lease.task.id), *_fence(lease), batch, *packed))
        if tokens < 0:
            raise LeaseLost(f"task {lease.task.id} is no longer held by {lease.worker}, attempt {lease.attempt}")
        return tokens

    def end(self, lease: Lease, end: End, held: float = 0.0, swap: float | None = None) -> Ended:
        """End a running task, once, and learn its duration. The lease that ended it may call this again.

        `held` has the seconds for which its function had a GPU; its visitor is charged for them if `end` is charged.
        `swap` has the seconds that passed before, until its child was ready; None if its function never began.
        """
        arguments = ending.arguments(self.rules, lease, end, held, swap)
        return Ended(self.scripts.run("end", self.keys.task(lease.task.id), *arguments))

    def end_and_claim(
        self, lease: Lease, end: End, held: float, swap: float | None, claim: Sequence[str | bytes | float]
    ) -> tuple[Ended, Reply]:
        """`end`, and in the same step a claim with these arguments, of `claiming.arguments`; none if the lease is lost.

        Called again after its answer was lost, it hands over the task that was claimed before, as `claim` does.
        """
        arguments = (*ending.arguments(self.rules, lease, end, held, swap), *claim)
        how, *reply = self.scripts.run("steps/end_and_claim", self.keys.task(lease.task.id), *arguments)
        return Ended(how), reply[0] if reply else None

    def release(self, lease: Lease) -> Ended:
        """Return a task to its old place, without counting an attempt. A task that was cancelled ends instead."""
        return Ended(self.scripts.run("release", self.keys.task(lease.task.id), *_fence(lease)))

    def retry(self, lease: Lease, end: End) -> Ended:
        """Return a task that could not begin to its old place, counting the attempt; without any left, end it so."""
        how = (self.rules.attempts, state_after(end), wire.pack(end))
        return Ended(self.scripts.run("retry", self.keys.task(lease.task.id), *_fence(lease), *how))

    def cancel(self, task: str, reason: str) -> CancelOutcome:
        """Stop a task: a waiting task ends at once; for a running task, its worker is told."""
        event = wire.pack(Cancelled(reason))
        return CancelOutcome(_text(self.scripts.run("cancel", self.keys.task(task), task, reason, event)))

    def withdraw(self, task: str) -> None:
        """Stop a task whose push failed for its caller: the broker may have executed the push, or may do so still."""
        event = wire.pack(Cancelled(NOT_QUEUED))
        self.scripts.run("withdraw", self.keys.task(task), task, NOT_QUEUED, event)

    def expire(self) -> int:
        """End tasks that have waited longer than the limit. Returns how many it ended; more may be left."""
        limits = self.rules.limits
        event = wire.pack(Expired(limits.waited_too_long))
        arguments = (limits.longest_wait, limits.waited_too_long, event)
        return int(self.scripts.run("expire", self.keys.arrivals(), *arguments))

    def refused(self) -> dict[str, int]:
        """How many tasks each limit has refused or ended lately, by the limit's name."""
        counts = cast(dict[bytes, bytes], self.redis.hgetall(self.keys.refused()))
        return {_text(limit): int(count) for limit, count in sorted(counts.items())}

    def state(self, task: str) -> TaskState | None:
        """The state of a task, or None if the broker does not know it (any more)."""
        reply = self.scripts.run("state", self.keys.task(task), task)
        return None if reply is None else task_state(*reply)

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
            if CancelOutcome.UNKNOWN in outcomes:  # its lifetime is over: only its place is left
                self.redis.zrem(self.keys.queue(size), *ids)
        return count

    def claimed(self, worker: str, reply: Reply) -> Claimed | None:
        """Decode the answer of `claim.lua`; None also if all waiting tasks are left to others for `moment` seconds.

        A task that this version cannot read is ended as failed, and None is returned.
        """
        if reply is None or isinstance(reply, bytes):
            return None
        task_id, size, message, packed, attempt = cast(tuple[bytes, bytes, bytes, bytes, int], tuple(reply))
        try:
            task = claiming.read_task(packed)
        except (wire.BadMessage, RefusedError) as error:
            end = ending.of_unread(self.rules, _text(task_id), worker, attempt, claiming.unreadable(error))
            self.scripts.run("end", self.keys.task(_text(task_id)), *end)
            return None
        return Claimed(Lease(task, worker, attempt), message, _text(size))


def _fence(lease: Lease) -> tuple[str, str, int]:
    return lease.task.id, lease.worker, lease.attempt


def _text(value: bytes) -> str:
    return value.decode()
