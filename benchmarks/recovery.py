"""What is lost, and what runs twice, when workers and the broker are killed? `python -m benchmarks.recovery [--quick]`

The workers are light processes: the real queue, leases and heartbeat, without Celery and children. The broker writes
its log every second, which a kill -9 does not outrun: what was answered had been handed to the kernel.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from benchmarks.scale.fleet import Fleet
from benchmarks.scale.load import Load, Outcome
from benchmarks.scale.stock_recovery import seconds_to_recover
from tests.broker.support import Server

WORKERS = 4
BUDGET = 6.0


def main() -> None:
    """Kill workers, then the broker, under load; meanwhile see how long kombu's own transport takes after one kill."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, and no peer")
    quick = parser.parse_args().quick
    with ThreadPoolExecutor(1) as background:
        peer = None if quick else background.submit(seconds_to_recover)
        workers = under_load(3_000 if quick else 30_000, kills=5 if quick else 50, of_broker=False)
        _report("50 workers" if not quick else "5 workers", workers)
        seconds = sorted(workers.recoveries)
        verdict = "within" if seconds[-1] <= BUDGET else "OVER"
        print(
            f"a killed worker's task runs elsewhere after {median(seconds):.2f} s, at most {seconds[-1]:.2f} s "
            f"({verdict} the budget of {BUDGET:g} s)"
        )
        _report("the broker, 3 times", under_load(1_000 if quick else 10_000, kills=3, of_broker=True))
        if peer is not None:
            ratio = median(seconds) / peer.result()
            print(f"with kombu's own transport, visibility timeout 5 s, after {peer.result():.1f} s: ratio {ratio:.2f}")


def under_load(tasks: int, kills: int, *, of_broker: bool) -> Outcome:
    """What became of so many tasks while workers, or the broker, were killed so many times."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        server.start()
        fleet = Fleet(server.url, Path(folder), WORKERS)

        def restart_broker() -> None:
            server.kill()
            server.start()

        try:
            return Load(server.url, fleet).run(tasks, kills, restart_broker if of_broker else fleet.kill_one)
        finally:
            server.kill()


def _report(killed: str, outcome: Outcome) -> None:
    unexplained = outcome.ran_twice - len(outcome.recoveries)
    faults = outcome.lost + outcome.ended_twice + outcome.ran_after_end + unexplained
    print(
        f"kill -9 of {killed} under load of {outcome.accepted:,} tasks: {outcome.lost} lost, "
        f"{outcome.ended_twice} ended twice, {outcome.ran_twice} ran twice, "
        f"{unexplained} of them not in flight on a killed worker, "
        f"{outcome.ran_after_end} ran after their end ({'within' if faults == 0 else 'OVER'} the budget of 0 faults)",
        flush=True,
    )


if __name__ == "__main__":
    main()
