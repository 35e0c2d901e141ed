"""Gradio's own queue in the web process of a farm: visitors wait in the farm's queue, and waiting holds nothing up.

Gradio runs 40 events at a time, on the 40 threads that also serve its pages; so 40 waiting visitors stop a page. Here
events of GPU functions wait as coroutines, other functions have threads that no page needs, and there are as many
events as visitors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

#: Events of one page that may run at a time. Source: Gradio keeps messages for 2,000 sessions of a page at most.
MOST_EVENTS = 2000

#: Threads for functions that are not decorated, of which many wait for GPU functions that they call.
MOST_THREADS = 1000


def watch_functions(blocks: ModuleType, without_thread: Callable[[Any], Any]) -> None:
    """Replace functions of events by what `without_thread` makes of them; for `gradio.blocks`."""
    original = blocks.BlockFunction.spaces_auto_wrap

    @functools.wraps(original)
    def wrap(self: Any) -> None:  # Any: gradio's BlockFunction
        original(self)
        self.fn = without_thread(self.fn)

    blocks.BlockFunction.spaces_auto_wrap = wrap


def watch_limiter(blocks: ModuleType) -> None:
    """Give functions of events threads of their own; for `gradio.blocks`."""
    original = blocks.Blocks.create_limiter

    @functools.wraps(original)
    def create_limiter(self: Any) -> None:  # Any: gradio's Blocks
        from anyio import CapacityLimiter

        original(self)
        if self.limiter is None:  # it would share the threads that serve pages
            self.limiter = CapacityLimiter(MOST_THREADS)

    blocks.Blocks.create_limiter = create_limiter


def watch_queue(queueing: ModuleType) -> None:
    """Let as many events run as there are visitors, and batches fill; for `gradio.queueing`."""
    queue = queueing.Queue
    start, create = queue.start, queue.create_event_queue_for_fn

    @functools.wraps(start)
    def start_with_room(self: Any, *args: Any, **kwargs: Any) -> Any:  # Any: gradio's Queue
        started = start(self, *args, **kwargs)
        self.active_jobs = _Jobs(self.active_jobs)
        return started

    @functools.wraps(create)
    def create_event_queue(self: Any, block_fn: Any) -> Any:
        if block_fn.batch and block_fn.concurrency_limit == "default":
            block_fn.concurrency_limit = 1  # calls gather to a batch only while one runs
        return create(self, block_fn)

    queue.start, queue.create_event_queue_for_fn = start_with_room, create_event_queue


class _Jobs(list[Any]):  # Any: None or a list of gradio's events
    """Gradio's list of places for running events, `None` where one is free. It grows until it is full."""

    def __contains__(self, job: object) -> bool:
        if super().__contains__(job):
            return True
        if job is None and len(self) < MOST_EVENTS:
            self.append(None)
            return True
        return False
