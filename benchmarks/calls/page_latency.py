"""How long takes a page's call that does nothing, beside Celery's prefork? `python -m benchmarks.calls.page_latency`

It is measured in the page itself: through the gateway, as the pages of `zerofarm up`, and straight to the broker.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.calls.farms import celery_prefork
from tests.harness import Farm, farm
from tests.waiting import wait_until

PAGE = Path(__file__).parent / "page" / "app.py"
TURNS = 3


def main(ways: list[str]) -> None:
    """Ratios of the medians of several pages, each way in turns."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, farm(Path(folder)) as made, celery_prefork():
        made.start_worker()
        if "gateway" in ways:
            made.start_gateway("gateway")
        found = [(way, measured(made, way, Path(folder))) for _ in range(TURNS) for way in ways]
    for way in ways:
        ours, peer = ([median(each[name]) for key, each in found if key == way] for name in ("page", "celery"))
        ratios = [mine / theirs for mine, theirs in zip(ours, peer, strict=True)]
        times = f"p50 {median(ours) * 1e3:.2f} ms, Celery prefork {median(peer) * 1e3:.2f} ms"
        print(f"no-op of a page, {way}: {times}, ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def measured(made: Farm, way: str, folder: Path) -> dict[str, list[float]]:
    """The seconds of the calls of one page; the Space is named after its way to the farm."""
    path = folder / "measured.json"
    path.unlink(missing_ok=True)
    os.environ["MEASURED"] = str(path)
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    made.start_web(way, PAGE)
    wait_until(path.exists, patience=120)
    made.stop_web(way)
    found: dict[str, list[float]] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    main(sys.argv[1:] or ["gateway", "direct"])
