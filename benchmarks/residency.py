"""Who makes room on a GPU for forty Spaces of which six fit? `python -m benchmarks.residency [days]`

Seeded calls in simulated time, through the account that a worker has; only children are replaced, by ones that take the
seconds of an H200. Each order of eviction, with sleep and without, beside one that knows the future. Takes 5 minutes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from random import Random
from statistics import fmean

from benchmarks.residents.children import GB, H200, Clock
from benchmarks.residents.orders import ORDERS, Kind, WorthLeast
from benchmarks.residents.visits import calls
from benchmarks.residents.worker import Host, Outcome, Worker
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget

SPACES, CARD, WORK, SEEDS = 40, 80 * GB, 0.5, (1, 2, 3)

#: Median bytes of a Space, sigma of the logarithm, and the most: about 560 GB in all.
SIZE = (12 * GB, 0.6, 60 * GB)

#: The host's memory for sleepers, whose first part may be pinned, and whether children move ahead of their tasks.
ALL, SOME = 600 * GB, 150 * GB
WAYS = {
    "kill": (None, False),
    "sleep, 150 GB": (HostMemoryBudget(SOME, SOME, watched=False), False),
    "sleep, 150 GB, early": (HostMemoryBudget(SOME, SOME, watched=False), True),
    "sleep, 150 GB pinned": (HostMemoryBudget(ALL, SOME, watched=False), False),
    "sleep, 150 GB pinned, early": (HostMemoryBudget(ALL, SOME, watched=False), True),
    "sleep, none pinned": (HostMemoryBudget(ALL, 0, watched=False), False),
    "sleep, all": (HostMemoryBudget(ALL, ALL, watched=False), False),
    "sleep, all, early": (HostMemoryBudget(ALL, ALL, watched=False), True),
}


def main(days: float) -> None:
    """One line for each way to make room and each order; ratios are to the first, the build before sleep."""
    old: Outcome | None = None
    for way, (budget, early) in WAYS.items():
        for name, order in ORDERS.items():
            if early and order is not WorthLeast:
                continue
            found = _mean([_run(seed, days, budget, order, early) for seed in SEEDS])
            old = old or found
            print(
                f"{way:27} {name:17} hits {found.hits:.1%}, swaps {found.swap_seconds:5.1f} s an hour "
                f"({found.swap_seconds / old.swap_seconds:.2f}), mean wait {found.mean_wait:5.2f} s "
                f"({found.mean_wait / old.mean_wait:.2f}), at most {found.most_held / GB:.1f} GB held",
                flush=True,
            )


def _run(seed: int, days: float, budget: HostMemoryBudget | None, order: Kind, early: bool) -> Outcome:
    random, clock = Random(seed), Clock()
    median, sigma, most = SIZE
    sizes = [int(min(most, median * math.exp(random.gauss(0.0, sigma)))) for _ in range(SPACES)]
    trace = calls(SPACES, days * 24 * 3600, WORK, seed)
    beliefs = order(clock, trace)
    return Worker(Host(CARD, budget, H200, sizes), beliefs, clock, wakes_early=early).run(trace, beliefs.arrived)


def _mean(found: Sequence[Outcome]) -> Outcome:
    return Outcome(
        fmean(each.hits for each in found),
        fmean(each.swap_seconds for each in found),
        fmean(each.ahead_seconds for each in found),
        fmean(each.mean_wait for each in found),
        max(each.most_held for each in found),
    )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
