"""A program that is told of no run directory shares memory with a farm of its own host, wherever that keeps it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import spaces
from spaces import config
from spaces.config import Config, default_host, default_run_dir
from spaces.farm.payloads.run_dir_of_farm import with_run_dir
from spaces.farm.queue.queue import Queue

HERE = replace(Config.from_environment({}), run_dir=default_run_dir(), host=default_host(default_run_dir()))


def worker(run_dir: Path, host: str = "") -> dict[str, Any]:
    return {"host": host or default_host(run_dir), "run_dir": str(run_dir)}


def test_a_program_shares_memory_with_a_worker_of_its_host(tmp_path: Path) -> None:
    elsewhere = worker(tmp_path, host="another-host")
    here = with_run_dir(HERE, [elsewhere, worker(tmp_path)])
    assert (here.run_dir, here.host) == (tmp_path, default_host(tmp_path))


def test_what_was_configured_stays(tmp_path: Path) -> None:
    for configured in (replace(HERE, run_dir=tmp_path / "mine"), replace(HERE, host="mine")):
        assert with_run_dir(configured, [worker(tmp_path)]) == configured


def test_a_run_directory_that_others_own_or_that_is_not_here_is_left_alone(tmp_path: Path) -> None:
    assert with_run_dir(HERE, [worker(tmp_path / "absent")]) == HERE
    if os.getuid():
        assert with_run_dir(HERE, [worker(Path("/"))]) == HERE


def test_workers_that_say_nothing_of_it_are_as_before() -> None:
    assert with_run_dir(HERE, [{"host": "a worker of an older version"}]) == HERE
    assert with_run_dir(HERE, [worker(default_run_dir())]) == HERE


@pytest.mark.parametrize("known", [True, False])
def test_a_farm_finds_it_by_its_address(queue: Queue, broker_url: str, tmp_path: Path, known: bool) -> None:
    queue.leases.beat("w1", worker(tmp_path) if known else {"host": "another-host"})
    with config.stand_in(HERE), spaces.Farm(broker_url) as farm:
        assert farm._farm._host == (default_host(tmp_path) if known else HERE.host)
