"""Ten Spaces of 1 GB take turns on a card of 4 GB, with a bus of 1 GB/s: `python -m benchmarks.turns [seconds]`

A simulated hour of seeded visitors, through the account that a worker has and with children that only cost time, as
those of a stand-in do. The ratios are to the build before sleep, which killed the child that was used longest ago.

With `seconds`, so many of real time instead, on two real farms at once: one kills, one lets sleep. Spaces have 0.2 GB
there, and the card 0.8 GB; so a swap takes a fifth of the time, and so does all that visitors do.
"""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean

from benchmarks.residents.children import GB, STAND_IN, Clock
from benchmarks.residents.orders import LongestAgo, WorthLeast
from benchmarks.residents.visits import calls
from benchmarks.residents.worker import Host, Outcome, Worker
from benchmarks.turns.real import taken
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget

SPACES, CARD, HOUR, SEEDS = 10, 4 * GB, 3600.0, range(1, 11)

#: Work that arrives in a second, as a part of what the GPU can do in it without swaps.
LOADS = (0.15, 0.3, 0.5)

#: Host memory for sleepers, of which the first so much may be pinned; whether children wake early.
HOSTS = {
    "kill": (None, False),
    "sleep, pinned": (HostMemoryBudget(12 * GB, 12 * GB, watched=False), False),
    "sleep, pinned, woken early": (HostMemoryBudget(12 * GB, 12 * GB, watched=False), True),
    "sleep, 4 GB pinned": (HostMemoryBudget(12 * GB, 4 * GB, watched=False), False),
    "sleep, none pinned": (HostMemoryBudget(12 * GB, 0, watched=False), False),
}


def main() -> None:
    """One line for each load and way to make room."""
    for load in LOADS:
        old = _all("kill", load)
        for name in HOSTS:
            found = _all(name, load)
            swapping = sum(each.swap_seconds for each in found) / sum(each.swap_seconds for each in old)
            wait = fmean(each.mean_wait for each in found) / fmean(each.mean_wait for each in old)
            held = max(each.most_held for each in found)
            print(
                f"load {load}, {name:26} hits {fmean(each.hits for each in found):.0%}, "
                f"swaps {fmean(each.swap_seconds for each in found):4.0f} s an hour ({swapping:.2f}) and "
                f"{fmean(each.ahead_seconds for each in found):3.0f} s ahead, "
                f"mean wait {fmean(each.mean_wait for each in found):5.2f} s ({wait:.2f}), "
                f"at most {held / GB:g} GB held{'' if held <= CARD else ': TOO MUCH'}",
                flush=True,
            )


def _all(name: str, load: float) -> list[Outcome]:
    return [_run(name, load, seed) for seed in SEEDS]


def _run(name: str, load: float, seed: int) -> Outcome:
    budget, wakes_early = HOSTS[name]
    clock, trace = Clock(), calls(SPACES, HOUR, load, seed)
    order = (LongestAgo if budget is None else WorthLeast)(clock, trace)
    host = Host(CARD, budget, STAND_IN, [GB] * SPACES)
    return Worker(host, order, clock, wakes_early=wakes_early).run(trace, order.arrived)


def real(seconds: float) -> None:
    """One line for each farm, and the ratios."""
    with ThreadPoolExecutor() as threads:
        old, new = threads.map(lambda host_gb: taken(seconds, host_gb), (0.0, math.inf))
    print(f"kill:  {old}\nsleep: {new}")
    print(f"ratios: swaps {sum(new.swaps) / sum(old.swaps):.2f}, mean wait {fmean(new.waits) / fmean(old.waits):.2f}")
    print("\n".join(sorted({*old.failures, *new.failures})))


if __name__ == "__main__":
    real(float(sys.argv[1])) if len(sys.argv) > 1 else main()
