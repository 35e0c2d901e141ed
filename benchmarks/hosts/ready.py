"""When is a farm ready after `zerofarm up`? `python -m benchmarks.hosts.ready [--old CHECKOUT] [--copies N]`

The three demos and Flower as `make up` serves them, or N copies of the demos; each start has a new state directory. A
checkout of an older version, with its own `.venv`, is started in turns with this one. `--processes` lists the
seconds of a core that each process has taken until the farm was ready.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import psutil

from benchmarks.spaces_on_a_host import copies_of_demos

LONGEST, LARGEST_SHARE, LONGEST_FIRST = 5.0, 0.3, 3.0


def main(rounds: int, old: Path | None, copies: int, *, processes: bool) -> None:
    """One line for each start, and one for each version."""
    trees = {"new": Path(__file__).resolve().parents[2]} | ({"old": old.resolve()} if old else {})
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in trees}
    for _ in range(rounds):
        for name, tree in trees.items():
            first, ready = _start(tree, copies, processes=processes and name == "new")
            print(f"{name}: the first page after {first:.1f} s, ready after {ready:.1f} s", flush=True)
            found[name].append((first, ready))
    firsts, readies = ({name: median(column) for name, column in _columns(found, place)} for place in (0, 1))
    print(f"first page: {firsts['new']:.1f} s ({_verdict(firsts['new'], LONGEST_FIRST)}; wanted with forty Spaces)")
    print(f"ready: {readies['new']:.1f} s ({_verdict(readies['new'], LONGEST)}; wanted with three)")
    if old:
        share = readies["new"] / readies["old"]
        print(f"beside the old version: {share:.2f} ({_verdict(share, LARGEST_SHARE)})")


def _columns(found: dict[str, list[tuple[float, float]]], place: int) -> Iterator[tuple[str, list[float]]]:
    for name, starts in found.items():
        yield name, [start[place] for start in starts]


def _verdict(value: float, budget: float) -> str:
    return f"{'within' if value <= budget else 'OVER'} {budget:g}"


def _start(tree: Path, copies: int, *, processes: bool) -> tuple[float, float]:
    """Seconds until the first page of a Space answers, and until all do, and Flower and the workers."""
    with tempfile.TemporaryDirectory(prefix="up-") as made, tempfile.TemporaryDirectory(dir="/dev/shm") as run_dir:
        spaces = list(copies_of_demos(Path(made, "spaces"), copies)) if copies else []
        with _farm(tree, spaces, Path(made, "state"), Path(run_dir)) as farm:
            began, first = time.monotonic(), 0.0
            for line in farm.stdout or ():
                report = json.loads(line)
                if report["event"] == "answering" and report["name"].startswith("Space "):
                    first = first or time.monotonic() - began
                if report["event"] == "ready":
                    ready = time.monotonic() - began
                    if processes:
                        _list_processes(farm.pid)
                    return first, ready
    raise RuntimeError(f"zerofarm up ended with code {farm.wait()} before its farm was ready")


@contextmanager
def _farm(tree: Path, spaces: Sequence[Path], state_dir: Path, run_dir: Path) -> Iterator[subprocess.Popen[str]]:
    command = [str(tree / ".venv" / "bin" / "zerofarm"), "up", *map(str, spaces), "--json", "--gpus", "none"]
    command += ["--port", "0", "--state-dir", str(state_dir), "--run-dir", str(run_dir)]
    command += ["--no-isolate"] if spaces else []
    with subprocess.Popen(command, cwd=tree, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def _list_processes(farm: int) -> None:
    root, total = psutil.Process(farm), 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            taken = times.user + times.system
            total += taken
            print(f"  {taken:5.2f} s, {time.time() - process.create_time():4.1f} s old: {_named(process.cmdline())}")
    print(f"  {total:5.2f} s in all")


def _named(command: Sequence[str]) -> str:
    text = " ".join(command)
    return text[text.find("spaces_") if "spaces_" in text else 0 :][:90]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--old", type=Path, help="a checkout of an older version, with its .venv")
    parser.add_argument("--copies", type=int, default=0, help="copies of the demos, in place of the demos and Flower")
    parser.add_argument("--processes", action="store_true")
    given = parser.parse_args()
    main(given.rounds, given.old, given.copies, processes=given.processes)
