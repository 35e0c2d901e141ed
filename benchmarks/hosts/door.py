"""What does the front door cost? `python -m benchmarks.hosts.door [--megabytes 1000] [--rounds 3]`

An upload and a download by Gradio's own routes, and a small request, through the door and at the page's own port in
turns; and what memory door and page take meanwhile. Needs curl, which costs less than a client in Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import httpx
import psutil

from benchmarks.calls.farms import interleaved
from tests.end_to_end.test_up import Up
from tests.harness import SPACES

#: The budgets: of the throughput, as a part of the direct one; of a small request, in milliseconds more.
THROUGHPUT, LATENCY = 0.9, 1.5
REQUESTS = 1000

Calls: TypeAlias = dict[str, Callable[[], Any]]  # Any: what nobody looks at


def main(arguments: Sequence[str] | None = None) -> None:
    """One line for each result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        served = (str(SPACES / name) for name in ("doorway", "sockets"))
        farm = Up(folder, *served, "--gpus", "none", "--no-flower")
        try:
            _small_requests(farm)
            _transfers(farm, _file(folder, options.megabytes), options.rounds)
        finally:
            farm.stop()


def _sides(farm: Up, space: str) -> dict[str, str]:
    """The page of a Space through the door, and at the port that the door is told."""
    page = str(farm.ready()["spaces"][space])
    (lookup,) = (farm.folder / "run").glob("door-*-lookup.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(lookup))) as door:
        told = door.get("http://lookup/lookup", headers={"X-Forwarded-Uri": f"/spaces/{space}/"})
    return {"door": page, "port": f"http://127.0.0.1:{told.headers['X-Space-Port']}/spaces/{space}"}


def _small_requests(farm: Up) -> None:
    with httpx.Client(timeout=60) as http:
        calls: Calls = {side: partial(http.get, f"{page}/") for side, page in _sides(farm, "sockets").items()}
        door, port = (median(seconds) * 1e3 for seconds in interleaved(calls, REQUESTS).values())
    more = f"{door - port:.2f} ms more (budget {LATENCY:g})"
    print(f"a small request: {door:.2f} ms, at the port {port:.2f} ms, {more}", flush=True)


def _transfers(farm: Up, file: Path, rounds: int) -> None:
    pages = _sides(farm, "doorway")
    (path,) = json.loads(_curl("-F", f"files=@{file}", f"{pages['port']}/gradio_api/upload"))
    up: Calls = {
        side: partial(_curl, "-F", f"files=@{file}", f"{page}/gradio_api/upload") for side, page in pages.items()
    }
    down: Calls = {
        side: partial(_curl, "-o", os.devnull, f"{page}/gradio_api/file={path}") for side, page in pages.items()
    }
    size = file.stat().st_size / 1e6
    for what, calls in (("upload", up), ("download", down)):
        with _growth(farm) as grown:
            door, port = (size / median(each) for each in interleaved(calls, rounds, warm_up=1).values())
        ratio = f"ratio {door / port:.2f} (budget at least {THROUGHPUT})"
        memory = ", ".join(f"{name} {before / 1e6:.0f} {most / 1e6:+.0f} MB" for name, (before, most) in grown.items())
        print(
            f"{what} of {size:.0f} MB: {door:.0f} MB/s, at the port {port:.0f} MB/s, {ratio}; memory of {memory}",
            flush=True,
        )


def _curl(*arguments: str) -> bytes:
    return subprocess.run(["curl", "-sS", "--fail", *arguments], check=True, capture_output=True).stdout


@contextmanager
def _growth(farm: Up) -> Iterator[dict[str, tuple[int, int]]]:
    """The bytes that door and page have before the block, and by how many they are larger within it, at most."""
    pids = {"door": farm.pid_of("run", "--config"), "page": farm.pid_of(str(SPACES / "doorway" / "app.py"))}
    watched = {name: psutil.Process(pid) for name, pid in pids.items()}
    grown = {name: (process.memory_info().rss, 0) for name, process in watched.items()}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for name, process in watched.items():
                before, most = grown[name]
                grown[name] = before, max(most, process.memory_info().rss - before)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield grown
    finally:
        over.set()
        watching.join()


def _file(folder: Path, megabytes: int) -> Path:
    block = os.urandom(10**6)
    with (folder / "large.bin").open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
    return folder / "large.bin"


if __name__ == "__main__":
    main()
