"""The measured systems: a farm on one CPU stand-in, and Celery's own pool on its own broker."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from celery import Celery

from spaces_workers.broker.find import find_broker
from tests.harness import Farm, farm

#: A Space of functions that do nothing, so that all the time is the farm's.
NO_OP = """
import spaces

@spaces.GPU
def echo(value):
    return value

@spaces.GPU
def frames(n, frame):
    for _ in range(n):
        yield frame
"""


@contextmanager
def our_farm() -> Iterator[Farm]:
    """A farm with one worker and the Space `no-op`."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, farm(Path(folder)) as made:
        space = Path(folder, "no-op")
        space.mkdir()
        (space / "app.py").write_text(NO_OP)
        made.register("no-op", space / "app.py")
        made.start_worker()
        yield made


@contextmanager
def celery_prefork() -> Iterator[Celery]:
    """Celery as it comes: prefork, Redis transport and backend, JSON; with the events that Flower needs."""
    with tempfile.TemporaryDirectory() as folder, find_broker(Path(folder)) as broker:
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.calls.peer", "worker", "-c1", "-E", "-l", "ERROR"]
        worker = subprocess.Popen(command, env=os.environ | {"PEER_URL": broker.url}, stderr=subprocess.DEVNULL)
        os.environ["PEER_URL"] = broker.url
        from benchmarks.calls.peer import app

        while not app.control.ping(timeout=1):
            pass
        try:
            yield app
        finally:
            worker.terminate()
            worker.wait()


def interleaved(calls: dict[str, Callable[[], Any]], rounds: int, warm_up: int = 5) -> dict[str, list[float]]:
    """Seconds of each call, measured in turns so that what else the machine does hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-warm_up, rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number >= 0:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def report(name: str, ours: list[float], peer_name: str, peer: list[float], budget: float) -> None:
    """One line: medians in milliseconds, their ratio, and the budget."""
    ratio = median(ours) / median(peer)
    verdict = "within" if ratio <= budget else "OVER"
    print(
        f"{name}: p50 {median(ours) * 1e3:.2f} ms, {peer_name} {median(peer) * 1e3:.2f} ms, "
        f"ratio {ratio:.2f} ({verdict} the budget of {budget:g})"
    )
