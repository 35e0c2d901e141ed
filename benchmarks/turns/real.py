"""The same turns on real farms with stand-ins: real workers, zygotes and children, and copies that really happen."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from statistics import fmean

import spaces
from benchmarks.residents.visits import Call, calls
from benchmarks.sleep.farms import small_card
from spaces_workers.gpu.standin_memory import StandInMemory
from tests.harness import Farm

#: GB of a Space, Spaces in all, and how many of them the card holds; GB a second of the bus; the load and its seed.
SIZE, SPACES, CARD, BUS = 0.2, 10, 4, 1.0
LOAD, SEED = 0.3, 1

#: Visitors and their calls are so many times as fast as in simulated time, and so are swaps, by their size.
HASTE = BUS / SIZE

#: Seconds between two looks at the account of the card.
LOOK = 0.02


@dataclass
class Turns:
    """What the calls of one farm have met."""

    waits: list[float] = field(default_factory=list)
    swaps: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    most_held: int = 0

    def __str__(self) -> str:
        return (
            f"{len(self.waits)} calls, {len(self.failures)} failed, swaps {sum(self.swaps):.0f} s, "
            f"mean wait {fmean(self.waits):.2f} s, at most {self.most_held / 1e9:.2f} GB held"
        )


def taken(seconds: float, host_gb: float) -> Turns:
    """Take turns in a process of their own."""
    command = [sys.executable, "-m", __name__, str(seconds), str(host_gb)]
    return Turns(**json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def take_turns(trace: Sequence[Call], host_gb: float) -> Turns:
    """Play the calls at their times on a farm; a visitor of a Space opens its page first."""
    turns, over, card = Turns(), threading.Event(), CARD * SIZE
    memory = {} if host_gb else {"host_gb": 0.0}
    with small_card(SPACES, SIZE, card, BUS, memory) as farm, farm.client("space-0", near=True) as client:
        for number in range(SPACES):  # all zygotes are ready
            client.submit(f"space-{number}", "touch").result(timeout=240)
        with ThreadPoolExecutor(max_workers=len(trace) + 2) as threads:
            watching = threads.submit(_watch, farm, card, turns, over)
            visits = threads.submit(_open, farm, trace, time.monotonic())
            start = time.monotonic()
            calls = [threads.submit(_play, farm, client, call, start, turns) for call in trace]
            for each in (*calls, visits):
                each.result()
            over.set()
            watching.result()
    return turns


def _open(farm: Farm, trace: Sequence[Call], start: float) -> None:
    for opened_at, name in sorted({(call.opened_at, call.name) for call in trace}):
        time.sleep(max(0.0, start + opened_at - time.monotonic()))
        farm.registry.tell_of_visit(name)


def _play(farm: Farm, client: spaces.Farm, call: Call, start: float, turns: Turns) -> None:
    time.sleep(max(0.0, start + call.at - time.monotonic()))
    pushed = time.time()
    handle = client.submit(call.name, "work", call.seconds)
    try:
        began = float(handle.result(timeout=600))
    except Exception as error:  # counted
        turns.failures.append(repr(error))
        return
    turns.waits.append(began - pushed)
    claimed = farm.queue.redis.hget(farm.queue.keys.task(handle.id), "started_at")
    turns.swaps.append(began - float(claimed or began))


def _watch(farm: Farm, card: float, turns: Turns, over: threading.Event) -> None:
    account = StandInMemory(farm.run_dir / "standin-0.memory", int(card * 1e9))
    while not over.wait(LOOK):
        turns.most_held = max(turns.most_held, account.used_bytes)


def hasty(seconds: float) -> list[Call]:
    """The calls of visitors in so much real time."""
    return [
        Call(call.at / HASTE, call.space, call.seconds / HASTE, call.opened_at / HASTE)
        for call in calls(SPACES, seconds * HASTE, LOAD, SEED)
    ]


if __name__ == "__main__":
    print(json.dumps(asdict(take_turns(hasty(float(sys.argv[1])), float(sys.argv[2])))))
