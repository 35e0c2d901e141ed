"""What does it save to weigh which Spaces are warm, and what does it cost the others? `python -m benchmarks.warmth`

Queue, claims, residency and the learning of swap costs are the real ones; children and tasks are waits.
"""

from __future__ import annotations

import random
import time

from benchmarks.scale.brokers import make_task, url_of, volatile_broker
from benchmarks.scale.slots import TASK_SECONDS, SlotWorker
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.warmth import INDIFFERENT, Warmth

TRACE = [f"space-{number % 4}" for number in range(40)]
LEAST_SAVED = 5.0


def main() -> None:
    """Swaps and makespan of the trace; swaps of workers that are mostly idle; the wait of a cold task."""
    with volatile_broker() as redis:
        queue = Queue(redis)
        (plain, plain_seconds), (ours, our_seconds) = (_swaps_of_trace(queue, weighs) for weighs in (False, True))
        verdict = "within" if plain >= LEAST_SAVED * ours else "OVER"
        print(
            f"40 tasks of 4 Spaces on 2 warm slots: {ours} swaps, by rank alone {plain}, {plain / ours:.1f}x fewer "
            f"({verdict} the budget of {LEAST_SAVED:g}x); makespan {our_seconds:.2f} s, by rank alone "
            f"{plain_seconds:.2f} s, ratio {our_seconds / plain_seconds:.2f}"
        )
        held, unheld = (_swaps_while_idle(queue, hold) for hold in (Rules().hold, 0.0))
        print(f"60 single tasks of 2 Spaces on 2 idle workers: {held} swaps, if none is left to the warm one {unheld}")
        for seconds in (0.5, 1.0, 2.0):
            _report_cold_wait(queue, seconds)


def _swaps_of_trace(queue: Queue, weighs_warmth: bool) -> tuple[int, float]:
    for space in TRACE:
        queue.push(make_task(space), b"")
    started = time.monotonic()
    worker = SlotWorker(url_of(queue.redis), "w1", 2, Rules(), weighs_warmth=weighs_warmth)
    for _ in TRACE:
        worker.done.acquire()
    seconds = time.monotonic() - started
    worker.stop()
    return worker.swaps, seconds


def _swaps_while_idle(queue: Queue, hold: float) -> int:
    chance = random.Random(1)
    workers = [SlotWorker(url_of(queue.redis), f"w{number}", 1, Rules(hold=hold)) for number in (1, 2)]
    for _ in range(60):
        task = make_task(f"space-{chance.randrange(2)}")
        queue.push(task, b"")
        while (state := queue.state(task.id)) is not None and not state.state.final:
            time.sleep(TASK_SECONDS)
    for worker in workers:
        worker.stop()
    return sum(worker.swaps for worker in workers)


def _report_cold_wait(queue: Queue, seconds: float) -> None:
    warmth = Warmth({"warm": 0.0}, unseen=seconds)
    ours, plain = _cold_wait(queue, warmth), _cold_wait(queue, INDIFFERENT)
    verdict = "within" if ours <= plain + seconds + TASK_SECONDS else "OVER"
    print(
        f"a cold task under full warm load, its swap {seconds:g} s: waited {ours:.2f} s, by rank alone {plain:.2f} s, "
        f"{ours - plain:.2f} s longer ({verdict} the bound of its swap and one task, {seconds + TASK_SECONDS:.2f} s)"
    )


def _cold_wait(queue: Queue, warmth: Warmth) -> float:
    """Seconds that a cold task waits where three warm ones always wait beside it."""
    queue.redis.flushall()
    for _ in range(3):
        queue.push(make_task("warm"), b"")
    queue.push(make_task("cold"), b"")
    started = time.monotonic()
    while (claimed := queue.claim("w1", ["large"], warmth)) is not None and claimed.lease.task.space != "cold":
        time.sleep(TASK_SECONDS)
        queue.push(make_task("warm"), b"")
    return time.monotonic() - started


if __name__ == "__main__":
    main()
