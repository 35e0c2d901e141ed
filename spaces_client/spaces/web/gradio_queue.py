"""Changes Gradio's own queue in the web process, so that visitors wait in the farm's queue and block nothing.

Gradio runs 40 events at a time, on the 40 threads that also serve its pages; so 40 waiting visitors block a page. Here
events of GPU functions wait as coroutines, other functions have threads apart from those of the pages, and all
visitors' events may run at once.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

#: Events of one page that may run at a time. Source: Gradio keeps messages for at most 2,000 sessions of a page.
MOST_EVENTS = 2000

#: Threads for undecorated functions, many of which wait for GPU functions that they call.
MOST_THREADS = 1000

#: Seconds after the last event until the queue of a page looks for events less often.
RESTS_AFTER = 2.0

#: Seconds between two looks then. Gradio looks each millisecond, which costs a page that nobody uses 3 % of a core.
REST = 0.02


def watch_functions(blocks: ModuleType, without_thread: Callable[[Any], Any]) -> None:
    """Pass the functions of events through `without_thread`; for `gradio.blocks`."""
    original = blocks.BlockFunction.spaces_auto_wrap

    @functools.wraps(original)
    def wrap(self: Any) -> None:  # Any: gradio's BlockFunction
        original(self)
        self.fn = without_thread(self.fn)

    blocks.BlockFunction.spaces_auto_wrap = wrap


def watch_limiter(blocks: ModuleType) -> None:
    """Run functions of events on separate threads; for `gradio.blocks`."""
    original = blocks.Blocks.create_limiter

    @functools.wraps(original)
    def create_limiter(self: Any) -> None:  # Any: gradio's Blocks
        from anyio import CapacityLimiter

        original(self)
        if self.limiter is None:  # without one it would share the threads that serve pages
            self.limiter = CapacityLimiter(MOST_THREADS)

    blocks.Blocks.create_limiter = create_limiter


def watch_queue(queueing: ModuleType) -> None:
    """Let the events of all visitors run at once, and let batches fill; for `gradio.queueing`."""
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
            block_fn.concurrency_limit = 1  # calls are batched only while another one runs
        return create(self, block_fn)

    queue.start, queue.create_event_queue_for_fn = start_with_room, create_event_queue
    queue.sleep_when_free = property(_pause, lambda self, seconds: setattr(self, "_shortest_pause", seconds))


def _pause(queue: Any) -> float:  # Any: gradio's Queue
    """Seconds until the queue looks for events again; Gradio reads this before each pause."""
    now = time.monotonic()
    if any(job is not None for job in queue.active_jobs):
        queue._active_at = now
    rests = now - getattr(queue, "_active_at", now - RESTS_AFTER) >= RESTS_AFTER
    return float(max(REST, queue._shortest_pause) if rests else queue._shortest_pause)


class _Jobs(list[Any]):  # Any: None or a list of gradio's events
    """Gradio's list of running events, with `None` for a free place. It grows up to the limit."""

    def __contains__(self, job: object) -> bool:
        if super().__contains__(job):
            return True
        if job is None and len(self) < MOST_EVENTS:
            self.append(None)
            return True
        return False
