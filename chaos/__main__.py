"""One run of chaos; the exit status is 1 if a call was not answered exactly once, or if something is left over."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from chaos.callers import Callers
from chaos.farm import Farm
from chaos.peer import Peer, PeerCallers
from chaos.run import LONGEST, RATE, Load, Run, run
from chaos.verdict import Left, ends_of_tasks, executions, problems, table
from tests.waiting import wait_until

#: Seconds that a farm may take to come to rest after the last answer.
REST = 40.0


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rate", type=float, default=RATE, help="calls that begin in a second")
    parser.add_argument("--only", default="", metavar="WORDS", help="only faults whose name has these words")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs there")
    parser.add_argument(
        "--longest", type=float, default=LONGEST, metavar="S", help="seconds that a fault lasts at most"
    )
    parser.add_argument("--peer", action="store_true", help="Celery as it comes, instead of a farm")
    given = parser.parse_args()
    logging.disable()  # refused calls are counted
    load = Load(given.seed, given.calls, given.rate)
    if given.peer:
        return of_peer(load, given.only, given.longest)
    return chaos(load, given.only, given.longest, given.keep)


def chaos(load: Load, only: str = "", longest: float = LONGEST, keep: Path | None = None) -> int:
    """One run; prints what it came to. Returns the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="chaos"))
    began = time.monotonic()
    farm = Farm(folder)
    try:
        farm.warm_up()
        print(f"seed {load.seed}: the farm was ready after {time.monotonic() - began:.0f} s", flush=True)
        done = asyncio.run(run(farm, Callers(farm), load, only, longest))
        left = _at_rest(farm)
    finally:
        processes = farm.stop()
        if keep is not None:
            shutil.copytree(
                folder, keep, ignore=shutil.ignore_patterns("*.sock", "broker", "memory"), dirs_exist_ok=True
            )
    left.processes = processes
    executed = executions(farm.notes)
    status = report(done, left, executed)
    with suppress(OSError):
        shutil.rmtree(folder)
    return status


def of_peer(load: Load, only: str, longest: float) -> int:
    """The same of stock Celery; returns 1 if a call was not answered exactly once."""
    folder = Path(tempfile.mkdtemp(prefix="chaos"))
    peer = Peer(folder)
    try:
        done = asyncio.run(run(peer, PeerCallers(peer), load, only, longest))
    finally:
        peer.stop()
    status = report(done, Left(0, [], 0), executions(peer.notes))
    shutil.rmtree(folder, ignore_errors=True)
    return status


def _at_rest(farm: Farm) -> Left:
    with suppress(AssertionError):
        wait_until(lambda: not farm.unended(), REST)
    with suppress(AssertionError):
        wait_until(lambda: not farm.payloads(), 5.0)
    with farm.brokers.primary.connection() as redis:
        return Left(farm.unended(), farm.left_in_broker(), farm.payloads(), ends_of_tasks(redis), is_up=farm.is_up)


def report(done: Run, left: Left, executed: Counter[str]) -> int:
    """Print the table and what must not be. Returns the exit status."""
    print(table(done, left, executed))
    found = problems(done, left, executed)
    print("\n".join(["", *found[:40]]) if found else "\nEvery call was answered once, and nothing is left over.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
