"""Does a deep queue cost more than a shallow one? `python -m benchmarks.depth`

It measures the time of the broker's own thread for a call, which neither the client nor other load can hide.
Three brokers that differ in depth are measured in turns, for 1, 50 and 1,000 Spaces. Takes minutes and 3 GB.
"""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from benchmarks.scale.brokers import volatile_broker
from benchmarks.scale.filling import FilledQueue
from spaces.farm.queue.limits import NO_LIMITS
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules

DEPTHS = (1_000, 100_000, 1_000_000)
SPACES = (1, 50, 1_000)
ROUNDS, CALLS = 15, 100
BUDGET = 2.0

#: A farm refuses tasks long before it holds a million.
RULES = Rules(limits=NO_LIMITS)


def main() -> None:
    """One line for each kind of call and number of Spaces, and one for the memory."""
    for spaces in SPACES:
        with ExitStack() as brokers:
            queues = [FilledQueue(_queue(brokers), depth, spaces) for depth in DEPTHS]
            measured = [queue.measure(CALLS) for _ in range(ROUNDS) for queue in queues]
            for call in ("claim", "push", "place"):
                by_depth = [[round_[call] for round_ in measured[first :: len(DEPTHS)]] for first in range(len(DEPTHS))]
                _report(f"{call}, {spaces:,} Spaces", [median(each) * 1e6 for each in by_depth])
            sizes = ", ".join(f"{queue.bytes_per_task:,.0f}" for queue in queues)
            print(f"memory, {spaces:,} Spaces: {sizes} bytes for each waiting task at {_depths()}", flush=True)


def _queue(brokers: ExitStack) -> Queue:
    return Queue(brokers.enter_context(volatile_broker()), rules=RULES)


def _report(name: str, microseconds: list[float]) -> None:
    ratio = microseconds[-1] / microseconds[0]
    verdict = "within" if ratio <= BUDGET else "OVER"
    times = ", ".join(f"{each:.0f}" for each in microseconds)
    print(
        f"{name}: {times} us at {_depths()} waiting, ratio {ratio:.2f} ({verdict} the budget of {BUDGET:g})", flush=True
    )


def _depths() -> str:
    return ", ".join(f"{depth:,}" for depth in DEPTHS)


if __name__ == "__main__":
    main()
