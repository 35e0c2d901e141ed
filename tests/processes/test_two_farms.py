"""Two farms of one user on one host share the run directory, and nothing else."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.harness import farm
from tests.waiting import PATIENCE, wait_until


def nurseries(run_dir: Path) -> list[psutil.Process]:
    wanted = {"spaces_workers.nursery.server", str(run_dir)}
    return [each for each in psutil.process_iter(["cmdline"]) if wanted <= set(each.info["cmdline"] or [])]


def test_each_farm_has_zygotes_of_its_own(tmp_path: Path) -> None:
    """A zygote holds the key of its farm: made by the other farm's nursery, it refused everything from its own farm."""
    with farm(tmp_path / "one") as one, farm(tmp_path / "two") as two:
        two.run_dir = one.run_dir
        for each in (one, two):
            each.register()
            each.start_worker()
        wait_until(lambda: len(nurseries(one.run_dir)) == 2)  # a fork is alike until it has become its program
        with one.client() as first, two.client() as second:
            assert first.submit("faults", "pid").result(timeout=PATIENCE) != second.submit("faults", "pid").result(
                timeout=PATIENCE
            )
        one.stop_workers()
        with two.client() as second:
            assert second.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
