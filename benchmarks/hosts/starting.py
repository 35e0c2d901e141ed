"""How long do `import spaces` and `zerofarm status` take, beside an older version?

`python -m benchmarks.hosts.starting --old CHECKOUT`, whose `.venv` has that version. CPU seconds (user and system) of
whole processes, which other work on the machine disturbs less than seconds do. The older `zerofarm status` reads an
empty broker, ours asks a farm that runs in `--state-dir`, if one is given.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from spaces_workers.broker.find import find_broker

ROUNDS = 30
LONGEST_IMPORT, LARGEST_SHARE = 0.035, 0.4


def main(arguments: Sequence[str] | None = None) -> None:
    """One line each for the import and the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, required=True, help="a checkout of an older version, with its own .venv")
    parser.add_argument("--state-dir", type=Path, help="that of a farm that runs")
    options = parser.parse_args(arguments)
    ours, old = Path(sys.executable), options.old / ".venv/bin/python"
    code = {"bare": (ours, "pass"), "ours": (ours, "import spaces"), "old": (old, "import spaces")}
    found = _in_turns({name: [str(python), "-c", text] for name, (python, text) in code.items()})
    above, before = found["ours"] - found["bare"], found["old"] - found["bare"]
    verdict = "within" if above <= LONGEST_IMPORT else "OVER"
    print(
        f"import spaces: {above * 1e3:.0f} ms above a bare interpreter ({verdict} 35), {above / before:.2f} of the old"
    )
    with tempfile.TemporaryDirectory() as folder, find_broker(Path(folder)) as broker:
        at = ["--redis-url", broker.url]
        of_farm = ["--state-dir", str(options.state_dir)] if options.state_dir else at
        found = _in_turns(
            {
                "ours": [str(ours.with_name("zerofarm")), "status", *of_farm],
                "old": [str(old.with_name("zerofarm")), "status", *at],
            }
        )
    share = found["ours"] / found["old"]
    print(f"zerofarm status: {share:.2f} of the old ({'within' if share <= LARGEST_SHARE else 'OVER'} 0.4)")


def _in_turns(commands: Mapping[str, Sequence[str]]) -> dict[str, float]:
    rounds = [{name: _cpu_seconds(command) for name, command in commands.items()} for _ in range(ROUNDS)]
    return {name: median(each[name] for each in rounds) for name in commands}


def _cpu_seconds(command: Sequence[str]) -> float:
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(command[0], list(command), os.environ, file_actions=silent)
    _, status, used = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} has failed with status {status}")
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
