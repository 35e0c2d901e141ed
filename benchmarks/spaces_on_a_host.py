"""What does a further Space cost a host? `python -m benchmarks.spaces_on_a_host [--copies 3 10 40] [--old CHECKOUT]`

Each farm is started by `zerofarm up` with so many copies of the demos, each in a folder of its own, and is measured
when all pages answer and all zygotes are ready. A checkout of an older version, with its own `.venv`, is measured in
the same run; the ratios are the result. Memory is the proportional set size of all processes of the farm. `--most-old`
spares the older version farms that this host cannot hold: they are extrapolated from the two largest that it can.
`--own` gives each copy an environment of its own, which has been made before.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import psutil

from spaces_app.demos import default_demos

#: Seconds in which all Spaces must answer and all zygotes must be ready.
PATIENCE = 900.0

#: The nursery's words about a zygote for which nobody waits any more.
SETTLED = re.compile(r"zygote of \S+ is ready|\S+ is not made (?:early|ahead)")


@dataclass(frozen=True, slots=True)
class Cost:
    """A farm's cost on this host."""

    copies: int
    first: float  #: seconds until the first page of a Space answers
    seconds: float  #: until every page answers
    serving_cpu: float  #: seconds of one core until then
    cpu: float  #: seconds of one core until every zygote is ready too
    memory_mb: float

    def at(self, copies: int, smaller: Cost) -> Cost:
        """As it would be with so many copies, if each costs as much as those between `smaller` and this."""
        further = (copies - self.copies) / (self.copies - smaller.copies)
        mine, others = astuple(self)[1:], astuple(smaller)[1:]
        return Cost(copies, *(each + (each - other) * further for each, other in zip(mine, others, strict=True)))

    def of_one(self, smaller: Cost | None) -> tuple[float, float]:
        """Megabytes, and seconds of one core, for each Space further than those of `smaller`."""
        if smaller is None:
            return self.memory_mb / self.copies, self.cpu / self.copies
        further = self.copies - smaller.copies
        return (self.memory_mb - smaller.memory_mb) / further, (self.cpu - smaller.cpu) / further


def main(copies: Sequence[int], old: Path | None, most_old: int, *, own: bool) -> None:
    """One line for each farm, and one with the ratios for each pair."""
    trees = {"new": Path(__file__).resolve().parents[1]} | ({"old": old.resolve()} if old else {})
    before: dict[str, Cost] = {}
    measured: list[Cost] = []  #: of the older version
    for count in copies:
        costs = {"new": _cost(trees["new"], count, own=own)}
        if old:
            if count <= most_old:
                measured.append(_cost(trees["old"], count, own=own))
            costs["old"] = measured[-1] if count <= most_old else measured[-1].at(count, measured[-2])
        ones = {name: cost.of_one(before.get(name)) for name, cost in costs.items()}
        for name, cost in costs.items():
            memory, cpu = ones[name]
            seen = "" if name == "new" or count <= most_old else " (extrapolated)"
            print(
                f"{count} Spaces, {name}{seen}: the first serves after {cost.first:.1f} s, all after "
                f"{cost.seconds:.1f} s and {cost.serving_cpu:.1f} s of CPU; "
                f"with zygotes {cost.cpu:.1f} s of CPU, {cost.memory_mb:.0f} MB; "
                f"each further Space {memory:.0f} MB, {cpu:.1f} s of CPU",
                flush=True,
            )
        if old:
            new, peer = costs["new"], costs["old"]
            memory, cpu = (ours / theirs for ours, theirs in zip(ones["new"], ones["old"], strict=True))
            print(
                f"{count} Spaces, ratios: memory of a further Space {memory:.2f}, its CPU {cpu:.2f}; all serve "
                f"{new.seconds / peer.seconds:.2f}, CPU until then {new.serving_cpu / peer.serving_cpu:.2f}, "
                f"memory of all {new.memory_mb / peer.memory_mb:.2f}",
                flush=True,
            )
        before = costs


def _cost(tree: Path, count: int, *, own: bool) -> Cost:
    with tempfile.TemporaryDirectory(prefix="spaces-") as made, tempfile.TemporaryDirectory(dir="/dev/shm") as run_dir:
        folder = Path(made)
        copies = list(copies_of_demos(folder / "spaces", count))
        if own:
            for copy in copies:  # which sees no other folder
                (copy / "requirements.txt").write_text(f"trifle @ {_wheel(copy).as_uri()}\n")
            with _farm(tree, copies, folder, Path(run_dir), own=own) as farm:  # makes the environments
                _ready(farm)
        log = folder / "state" / "logs" / "nursery.log"
        log.unlink(missing_ok=True)
        began = time.monotonic()
        with _farm(tree, copies, folder, Path(run_dir), own=own) as farm:
            first, serving = _ready(farm)
            seconds, serving_cpu = time.monotonic() - began, _cpu(farm)
            if len(serving) != count:
                raise RuntimeError(f"{count} Spaces should serve, got {len(serving)}; see {folder / 'state' / 'logs'}")
            _wait_until(lambda: len(SETTLED.findall(log.read_text())) >= count)
            return Cost(count, first - began, seconds, serving_cpu, _cpu(farm), _memory_mb(farm))


def copies_of_demos(folder: Path, count: int) -> Iterator[Path]:
    demos = default_demos()
    for number in range(count):
        demo = demos[number % len(demos)]
        yield Path(shutil.copytree(demo, folder / f"{demo.name}-{number}"))


@contextmanager
def _farm(
    tree: Path, copies: Sequence[Path], folder: Path, run_dir: Path, *, own: bool
) -> Iterator[subprocess.Popen[str]]:
    command = [str(tree / ".venv" / "bin" / "zerofarm"), "up", *map(str, copies), "--no-flower", "--json"]
    command += ["--gpus", "none", "--port", "0", "--state-dir", str(folder / "state"), "--run-dir", str(run_dir)]
    command += [] if own else ["--no-isolate"]
    environment = os.environ | {"UV_OFFLINE": "1"}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wheel(folder: Path) -> Path:
    """A package of one small module."""
    files = {
        "trifle.py": "",
        "trifle-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: trifle\nVersion: 1.0\n",
        "trifle-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "trifle-1.0.dist-info/RECORD": "",
    }
    path = folder / "trifle-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def _ready(farm: subprocess.Popen[str]) -> tuple[float, Sequence[str]]:
    """When the first Space served, and the names of those that do, once all have been started."""
    first = 0.0
    for line in farm.stdout or ():
        report = json.loads(line)
        if report["event"] == "answering" and report["name"].startswith("Space "):
            first = first or time.monotonic()
        if report["event"] == "ready":
            return first, list(report["spaces"])
    raise RuntimeError(f"zerofarm up ended with code {farm.wait()} before its farm was ready")


def _everything(farm: subprocess.Popen[str]) -> Iterator[psutil.Process]:
    root = psutil.Process(farm.pid)
    yield from (root, *root.children(recursive=True))


def _memory_mb(farm: subprocess.Popen[str]) -> float:
    """See proc_pid_smaps(5)."""
    total = 0
    for process in _everything(farm):
        with suppress(OSError, psutil.NoSuchProcess):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[0])
    return total * 1024 / 1e6


def _cpu(farm: subprocess.Popen[str]) -> float:
    """Seconds of one core, of its processes and of those that they have waited for."""
    total = 0.0
    for process in _everything(farm):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all zygotes were ready within {PATIENCE:.0f} s")
        time.sleep(0.1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, nargs="+", default=[3, 10], help="numbers of Spaces, rising")
    parser.add_argument("--old", type=Path, help="a checkout of an older version, with its .venv")
    parser.add_argument("--most-old", type=int, default=1000, help="the most Spaces that the older version is given")
    parser.add_argument("--own", action="store_true", help="Spaces with environments of their own")
    given = parser.parse_args()
    main(given.copies, given.old, given.most_old, own=given.own)
