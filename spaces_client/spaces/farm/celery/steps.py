"""Steps that end a task and claim the next one, made by the run that ends, on its own thread.

Without a step Celery's channel claims on its own connection, once it has acknowledged the task. Only one of them claims
at a time. After a step the channel gives Celery the task that was claimed, or waits for a bell if there was none.
"""

from __future__ import annotations

from typing import Protocol

from spaces.farm.celery.here import facts
from spaces.farm.queue.claiming import Claimed, Reply, found_nothing
from spaces.farm.queue.queue import Queue


class Claims(Protocol):
    """The channel that claims otherwise."""

    @property
    def ranked_queue(self) -> Queue: ...
    @property
    def wants_more(self) -> bool: ...
    def claim_arguments(self) -> list[str | bytes | float]: ...
    def found(self, claimed: Claimed) -> bool: ...
    def found_nothing(self, reply: Reply) -> None: ...


#: Steps of which the channel need not have heard before another begins: Celery's accounts may be that far behind.
MOST_UNTOLD = 8

_channel: Claims | None = None


def consuming(channel: Claims) -> None:
    """This channel consumes ranked queues from now on."""
    global _channel
    _channel = channel


def begun() -> Step | None:
    """A step, or None if no task is wanted now, or the channel claims already. `Step.finish` must follow."""
    with facts.claiming:
        if _channel is None or facts.steps == MOST_UNTOLD or facts.unheard or not _channel.wants_more:
            return None
        facts.steps += 1
    return Step(_channel)


class Step:
    """One step. If its claim gets no answer, the channel claims instead."""

    def __init__(self, channel: Claims) -> None:
        self._channel = channel
        self._found: Claimed | None = None
        self._in_vain: list[Reply] = []  #: the answer, if it had no task

    def arguments(self) -> list[str | bytes | float]:
        """Those of `claim.lua`."""
        return self._channel.claim_arguments()

    def answered(self, reply: Reply) -> None:
        """Note the answer of `claim.lua`."""
        self._found = self._channel.ranked_queue.claimed(facts.worker, reply)
        if self._found is not None:
            facts.in_hand.add(self._found.lease.task.id)
        elif found_nothing(reply):
            self._in_vain = [reply]

    @property
    def found(self) -> Claimed | None:
        """The task that was claimed."""
        return self._found

    def finish(self) -> bool:
        """Tell the channel, on its own thread. False if a task was found that it cannot give to Celery any more."""
        try:
            if self._found is not None:
                return self._channel.found(self._found)
            for reply in self._in_vain:
                self._channel.found_nothing(reply)
            return True
        finally:
            with facts.claiming:
                facts.steps -= 1
