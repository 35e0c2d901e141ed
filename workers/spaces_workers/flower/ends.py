"""Tells Flower of ends that no worker reports: tasks cancelled in the queue, lost with a worker, or with a lost event.

Celery's events come from workers, so without this such a task would seem to wait or run for ever. The broker is asked
regularly about every task that Flower believes to be waiting or running.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from redis import RedisError
from tornado.ioloop import PeriodicCallback

from spaces.farm.queue.queue import Queue
from spaces.farm.task import State

logger = logging.getLogger(__name__)

#: Seconds between two checks.
INTERVAL = 5.0

#: How Celery names the ends of a task in its events.
EVENTS = {
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    State.CANCELLED: "revoked",
    State.TIMED_OUT: "failed",
    State.CRASHED: "failed",
    State.LOST: "failed",
}


class Ends:
    """Keeps Flower's memory consistent with the broker. Runs on Flower's loop, which alone changes the memory."""

    def __init__(self, memory: Any, queue: Queue) -> None:  # Any: flower.events.EventsState
        self._memory = memory
        self._queue = queue
        self._ended_before: set[str] = set()  #: at the last check; their workers have had time to report
        self._timer = PeriodicCallback(self.look, INTERVAL * 1000)

    def start(self) -> None:
        """Check every INTERVAL from now on."""
        self._timer.start()

    async def look(self) -> None:
        """Ask the broker about every task that Flower believes waiting or running; record those that have ended."""
        under_way = [task.uuid for task in self._memory.tasks.data.values() if not task.ready]
        try:
            answers = await asyncio.get_running_loop().run_in_executor(None, self._ask, under_way)
        except (RedisError, OSError) as error:
            logger.info("the broker could not be asked how tasks ended: %s", error)
            return
        ended = [answer for answer in answers if answer.state is None or answer.state.final]
        for answer in ended:
            if answer.untold or answer.task_id in self._ended_before:
                self._note(answer)
        self._ended_before = {answer.task_id for answer in ended}

    def _ask(self, task_ids: list[str]) -> list[Answer]:
        queue = self._queue
        with queue.redis.pipeline(transaction=False) as pipeline:
            for task_id in task_ids:
                pipeline.hmget(queue.keys.task(task_id), ["state", "worker", "ended_at"])
            return [_answer(task_id, *fields) for task_id, fields in zip(task_ids, pipeline.execute(), strict=True)]

    def _note(self, answer: Answer) -> None:
        task = self._memory.tasks.data.get(answer.task_id)
        if task is None or task.ready:
            return
        event = EVENTS[answer.state or State.CANCELLED]
        exception = {"exception": str(answer.state)} if event == "failed" else {}
        task.event(event, answer.ended_at, answer.ended_at, exception)
        self._memory.search_engine.upsert(task)


@dataclass(frozen=True, slots=True)
class Answer:
    """The broker's answer about one task."""

    task_id: str
    state: State | None  #: None for a task that the broker has forgotten
    untold: bool  #: it ended before any worker took it, so that none will report it
    ended_at: float


def _answer(task_id: str, state: bytes | None, worker: bytes | None, ended_at: bytes | None) -> Answer:
    known = State(state.decode()) if state else None
    return Answer(task_id, known, known is not None and not worker, float(ended_at or time.time()))
