"""The facts of this process as a worker, for `transport.py` and `steps.py`.

A worker calls `identify`, `set_warmth` and `attend_with` once, at its start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Lease


@dataclass
class Here:
    """The facts that this process sends to the broker with each claim, and its account of tasks."""

    worker: str = ""
    device: str = ""
    warmth: Callable[[], Warmth] = Warmth
    in_hand: set[str] = field(default_factory=set)  #: tasks that are delivered and not yet acknowledged
    settled: set[str] = field(default_factory=set)  #: those of them whose end, or return, is in the broker
    unheard: set[str] = field(default_factory=set)  #: tasks that run, of which no channel could tell Celery
    begin: Callable[[Lease], None] = lambda _: None
    forsake: Callable[[str], None] = lambda _: None
    is_busy: Callable[[], bool] = lambda: False
    claiming: threading.Lock = field(default_factory=threading.Lock)  #: held to decide who claims
    steps: int = 0  #: those of `steps.py` that have begun, and of which the channel has not heard yet

    @property
    def claims_elsewhere(self) -> bool:
        """Whether a channel must not claim now: a run may, or has.

        Celery's own account does not suffice: with a connection it forgets the tasks whose child is not ready yet.
        """
        return self.steps > 0 or bool(self.unheard) or self.is_busy()


facts = Here()


def identify(worker: str, device: str = "") -> None:
    """Set the name of the worker in this process, and the device that the event `Started` of its tasks names.

    Its heartbeat must use the same name, and no two workers may share one. Without a device no `Started` is written.
    """
    facts.worker, facts.device = worker, device


def set_warmth(warmth: Callable[[], Warmth]) -> None:
    """Set the function that returns, at each claim, this worker's seconds to begin a task of each Space."""
    facts.warmth = warmth


def attend_with(
    begin: Callable[[Lease], None], forsake: Callable[[str], None], is_busy: Callable[[], bool] = lambda: False
) -> None:
    """Have `begin` called with each task that is claimed, before Celery gets its message.

    `forsake` is called with the id of a task that is acknowledged or rejected, after this is written. While `is_busy`,
    no channel claims.
    """
    facts.begin, facts.forsake, facts.is_busy = begin, forsake, is_busy


def settled(lease: Lease) -> None:
    """The task's end or its return is written: its message can be acknowledged without asking the broker."""
    facts.settled |= {lease.task.id} & facts.in_hand


def unheard(task: str) -> None:
    """A task runs of which Celery will not hear. No other is claimed until it is over."""
    facts.unheard.add(task)


def over(task: str) -> None:
    """A task is over of which Celery has not heard, or will not hear any more."""
    facts.in_hand.discard(task)
    facts.unheard.discard(task)
