"""How much does a small task cost, beside an older version and other queues?

`python -m benchmarks.road [--old CHECKOUT] [--rounds 7] [--peers FOLDER] [--only NAME ...]`

Every system runs at the same time, each on a broker of its own behind a unix socket, with one worker that does one
task at a time; they are measured in turns. A result is the median of the rounds' ratios. A farm has Flower beside it.
The peers are installed into environments of their own, which `--peers` keeps.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import IO, Any, cast

import psutil

from benchmarks.road_systems import environments
from spaces_workers.broker.embedded import EmbeddedBroker
from spaces_workers.broker.find import find_broker

SYSTEMS = Path(__file__).parent / "road_systems"
TREE = Path(__file__).resolve().parents[1]

#: Of each round: calls one after the other; tasks of a flood and how many of them are under way; frames and their size.
CALLS, FLOOD, UNDER_WAY, FRAMES, FRAME_BYTES = 60, 300, 64, 1000, 1000


@dataclass
class Measured:
    """One system, and what was measured of it in each round."""

    name: str
    process: subprocess.Popen[str]
    errors: IO[str]
    broker: int | None = None  #: its process, if the system has not started it
    rounds: dict[str, list[float]] = field(default_factory=dict)

    def ask(self, command: str) -> Any:  # Any: JSON
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} has ended:\n{self.errors.read()[-2000:]}")
        return json.loads(answer)

    def note(self, name: str, value: float) -> None:
        self.rounds.setdefault(name, []).append(value)

    def signal(self, number: int) -> None:
        """Stop or continue the processes of a peer: some poll. A farm's leases would end meanwhile."""
        if self.broker is not None:
            for process in self._processes():
                process.send_signal(number)

    def cpu_seconds(self) -> float:
        """Seconds of one core that its processes have used so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self._processes())

    def _processes(self) -> list[psutil.Process]:
        root = psutil.Process(self.process.pid)
        broker = [psutil.Process(self.broker)] if self.broker is not None else []
        return [root, *root.children(recursive=True), *broker]

    def measure(self, frames: bool) -> None:
        """One round."""
        seconds = self.ask(f"calls {CALLS}")
        self.note("call, ms", median(seconds) * 1e3)
        self.note("call p99, ms", quantiles(seconds, n=100)[98] * 1e3)
        before = self.cpu_seconds()
        self.note("tasks a second", FLOOD / self.ask(f"flood {FLOOD} {UNDER_WAY}"))
        self.note("CPU of a task, ms", (self.cpu_seconds() - before) / FLOOD * 1e3)
        if frames:
            first, others = self.ask(f"frames {FRAMES} {FRAME_BYTES}")
            bare = self.ask(f"bare {FRAMES} {FRAME_BYTES}")
            self.note("first frame, ms", first * 1e3)
            self.note("frames a second", (FRAMES - 1) / others)
            self.note("frames, of bare XADD and XREAD", bare / others)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    options = _options(arguments)
    with ExitStack() as stack:
        systems = {
            name: stack.enter_context(_started(name, options.old, options.peers))
            for name in ["ours", *(["before"] if options.old else []), *environments.PEERS]
            if not options.only or name in ["ours", *options.only]
        }
        with suppress(KeyboardInterrupt):  # then the rounds so far are the result
            for number in range(-1, options.rounds):
                for system in systems.values():
                    system.signal(signal.SIGCONT)
                    system.measure(frames=system.broker is None)
                    system.signal(signal.SIGSTOP)
                    if number < 0:  # the first calls are not counted
                        system.rounds.clear()
        _report(systems)


def _report(systems: dict[str, Measured]) -> None:
    """A table: the median of each system, and in brackets the median of the rounds' ratios of ours to it."""
    ours = systems["ours"].rounds
    print(f"| | {' | '.join(systems)} |")
    print("|---|" + "---|" * len(systems))
    for name, mine in ours.items():
        cells = [_cell(mine, system.rounds.get(name), system.name) for system in systems.values()]
        print(f"| {name} | {' | '.join(cells)} |")


def _cell(mine: Sequence[float], theirs: Sequence[float] | None, name: str) -> str:
    if theirs is None:
        return ""
    ratio = median(one / other for one, other in zip(mine, theirs, strict=False))
    return f"{median(theirs):.3g}" + ("" if name == "ours" else f" ({ratio:.2f})")


@contextmanager
def _started(name: str, old: Path | None, peers: Path) -> Iterator[Measured]:
    with ExitStack() as stack:
        if name in ("ours", "before"):
            tree = TREE if name == "ours" else old
            command = [f"{tree}/.venv/bin/python" if name == "before" else sys.executable, "farm_system.py"]
            environment, broker = {"PYTHONPATH": str(tree)}, None
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            found = cast(EmbeddedBroker, stack.enter_context(find_broker(Path(folder))))
            command = [str(environments.python_of(name, peers)), *environments.PEERS[name].command]
            settings = found.server.settings
            environment = {"BROKER_SOCKET": str(settings.socket_path), "BROKER_PASSWORD": settings.password}
            broker = found.server.pid
        command[1] = str(SYSTEMS / command[1])
        errors = stack.enter_context(tempfile.TemporaryFile("w+"))
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}  # Any: options
        process = stack.enter_context(
            subprocess.Popen(
                command,
                env=os.environ | environment,
                cwd=SYSTEMS,
                stderr=errors,
                **pipes,
            )
        )
        system = Measured(name, process, errors, broker)
        assert process.stdout is not None
        process.stdout.readline()
        system.signal(signal.SIGSTOP)
        try:
            yield system
        finally:
            system.signal(signal.SIGCONT)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, help="a checkout of an older version, with its own .venv")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir(), "zerofarm-peers"))
    parser.add_argument("--only", nargs="*", help="only these systems, and ours")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
