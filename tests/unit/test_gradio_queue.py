"""The queue of a page looks for events as often as Gradio wants while it is used, and seldom while it is not."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from gradio import queueing

from spaces.web import gradio_queue
from spaces.web.gradio_queue import REST, RESTS_AFTER


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(gradio_queue, "time", clock)
    return clock


@pytest.fixture
def queue() -> Any:  # Any: gradio's Queue
    module = ModuleType("queueing")
    module.Queue = type("Queue", (queueing.Queue,), {})  # type: ignore[attr-defined] # of a module of its own
    gradio_queue.watch_queue(module)
    made = module.Queue(live_updates=False, concurrency_count=1, update_intervals=1.0, max_size=None, blocks=None)
    made.active_jobs = [None]
    return made


def test_a_page_that_nobody_uses_looks_for_events_seldom(queue: Any, clock: Clock) -> None:
    assert queue.sleep_when_free == REST


def test_a_page_that_is_used_looks_as_often_as_gradio_wants(queue: Any, clock: Clock) -> None:
    queue.active_jobs = [None, ["an event"]]
    assert queue.sleep_when_free < REST
    queue.active_jobs = [None]
    clock.now += RESTS_AFTER / 2
    assert queue.sleep_when_free < REST
    clock.now += RESTS_AFTER / 2
    assert queue.sleep_when_free == REST
