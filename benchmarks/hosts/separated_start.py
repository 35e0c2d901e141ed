"""What does separation add to a Space's start? `python -m benchmarks.hosts.separated_start`

Two farms of the demos at once, one whose Spaces are separated as well as this host can, one at the level `none`. Pages
end when nobody has used them for two seconds. Visitors wake those of both farms in turns.
"""

from __future__ import annotations

import tempfile
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.calls.farms import interleaved
from spaces_app.demos import default_demos
from spaces_workers.sandbox.level import best
from tests.end_to_end.test_up import Up
from tests.waiting import wait_until

TIMES = 7
PATIENCE = 120.0
BUDGET = 1.1


def main() -> None:
    """One line for each demo."""
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        farms = {level: _farm(Path(made, level), level) for level in (best(), "none")}
        for farm in farms.values():
            stack.callback(farm.stop)
        for demo in default_demos():
            _measure(farms, demo.name)


def _farm(folder: Path, level: str) -> Up:
    (folder / "state").mkdir(mode=0o700, parents=True)
    (folder / "state" / "farm.toml").write_text(f'[idle]\nafter = 2\n\n[isolation]\nlevel = "{level}"\n')
    return Up(folder, *map(str, default_demos()), "--no-isolate", "--no-flower", "--gpus", "none")


def _measure(farms: dict[str, Up], name: str) -> None:
    pages = {level: farm.ready()["spaces"][name] for level, farm in farms.items()}
    found: dict[str, list[float]] = {level: [] for level in farms}
    for number in range(TIMES):
        for level, farm in farms.items():
            wait_until(partial(_was_idle, farm, name, number), PATIENCE)
            found[level] += interleaved({level: partial(_opened, pages[level])}, 1, 0)[level]
    ours, none = (median(each) for each in found.values())
    verdict = "within" if ours / none <= BUDGET else "OVER"
    level = next(iter(farms))
    print(
        f"{name}: its page after {ours:.2f} s at the level {level}, {none:.2f} s at none, ratio {ours / none:.2f} "
        f"({verdict} the budget of {BUDGET:g})",
        flush=True,
    )


def _was_idle(farm: Up, name: str, times: int) -> bool:
    return len(farm.told("idle", name=f"Space {name}")) > times


def _opened(page: str) -> None:
    urllib.request.urlopen(f"{page}/config", timeout=60).read()


if __name__ == "__main__":
    main()
