"""Random interleavings of everything that can happen to tasks, each of some visitor: the ledger agrees at each step."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from spaces.farm.queue.queue import Queue
from spaces.farm.queue.settings_file.tiers import QuotaRules
from spaces.farm.task import Task

from . import test_queue_machine
from .support import make_task
from .test_queue_machine import PATIENT, QueueMachine

VISITORS = ("user:ada", "user:grace")


class QuotaMachine(QueueMachine):
    """The queue of a farm with quotas, which do not count in its rank."""

    @invariant()
    def what_is_reserved_is_what_has_not_ended(self) -> None:
        open_tasks = {name.encode() for name, task in self.model.tasks.items() if task.end is None}
        keys = [self.queue.keys.reserved(visitor) for visitor in VISITORS]
        reserved = {name for key in keys for name in cast(list[bytes], self.queue.redis.hkeys(key))}
        assert reserved == open_tasks

    @invariant()
    def what_was_used_is_what_ended_tasks_were_charged(self) -> None:
        charged: defaultdict[str, float] = defaultdict(float)
        for name, task in self.model.tasks.items():
            stored = self.queue.redis.hmget(self.queue.keys.task(name), "visitor", "charged")
            whose, seconds = cast(tuple[bytes, bytes | None], stored)
            assert (seconds is None) == (task.end is None)
            charged[whose.decode()] += float(seconds or 0)
        for visitor in VISITORS:
            assert self.queue.ledger.standing(visitor).quota.used == pytest.approx(charged[visitor])


def test_random_interleavings_agree_with_the_ledger(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def task_of_a_visitor(**options: object) -> Task:
        task = make_task(**options)  # type: ignore[arg-type] # the options of make_task
        return replace(task, visitor=VISITORS[int(task.estimate) % 2])

    monkeypatch.setattr(test_queue_machine, "make_task", task_of_a_visitor)
    rules = replace(PATIENT, quota=QuotaRules(enabled=True, usage_weight=0.0))
    monkeypatch.setattr(QuotaMachine, "queue", Queue(queue.redis, rules=rules), raising=False)
    run_state_machine_as_test(
        QuotaMachine,
        settings=settings(max_examples=25, stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )
