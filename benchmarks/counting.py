"""How much of a no-op round trip do the counters take? `python -m benchmarks.counting`; also in `benchmarks.latency`.

The broker's own time for the scripts of a task, as they are and without counting, in turns; beside a whole round trip.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import cast

from redis.commands.core import Script

from benchmarks.calls.farms import interleaved, our_farm
from spaces.farm.connection import connect
from spaces.farm.events import Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.scripts import Scripts, source
from spaces.farm.size import Size
from spaces.farm.task import FunctionName, Task
from spaces_workers.broker.find import find_broker

ROUNDS, TASKS, BUDGET = 20, 200, 0.02

#: The line of `lua/shared/lib.lua` by which an ended task is counted and remembered.
COUNTING = "  record_end("


class Uncounted(Scripts):
    """The scripts without counting."""

    def get(self, name: str) -> Script:
        if name not in self._known:
            lines = source(name, self._keys, self._ended).splitlines()
            kept = "\n".join(line for line in lines if not line.startswith(COUNTING))
            self._known[name] = self._redis.register_script(kept)
        return self._known[name]


def broker_seconds(queue: Queue) -> float:
    """Of one task, from push to end, in the broker's processor."""
    queue.redis.config_resetstat()
    for _ in range(TASKS):
        task = Task("no-op", FunctionName("__main__", "echo"), Payload(b"1"))
        queue.push(task, b"{}")
        claimed = queue.claim("w1", [Size.LARGE])
        assert claimed is not None
        queue.end(claimed.lease, Succeeded(Payload(b"1"), 0.001), 0.001, 0.0)
    stats = cast(dict[str, dict[str, float]], queue.redis.info("commandstats"))
    return stats["cmdstat_evalsha"]["usec"] / TASKS / 1e6


def round_trip() -> float:
    """The median of a no-op call on a warm child."""
    with our_farm() as farm, farm.client("no-op") as client:
        call: Callable[[], object] = lambda: client.submit("no-op", "echo", 1).result()  # noqa: E731
        return median(interleaved({"ours": call}, 300)["ours"])


def main() -> None:
    """One line: the broker's time for counting a task, as a share of the whole round trip."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, find_broker(Path(folder)) as broker:
        counted, uncounted = Queue(connect(broker.url)), Queue(connect(broker.url))
        uncounted.scripts = Uncounted(uncounted.redis, Keys(), uncounted.rules.limits.outcome_lifetime)
        spent = [(broker_seconds(counted), broker_seconds(uncounted)) for _ in range(ROUNDS)]
    more = median(one - other for one, other in spent)
    whole = round_trip()
    verdict = "within" if more <= BUDGET * whole else "OVER"
    print(
        f"counting a no-op task: {more * 1e6:.1f} us of the broker's {median(one for one, _ in spent) * 1e6:.1f} us, "
        f"{more / whole:.2%} of a round trip of {whole * 1e3:.2f} ms ({verdict} the budget of {BUDGET:.0%})"
    )


if __name__ == "__main__":
    main()
