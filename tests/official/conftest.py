"""The official package in an environment beside ours. `make test-official` runs these tests, `make test` does not: they
need the package index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

OFFICIAL = "spaces==0.51.3"

collect_ignore_glob = [] if "TEST_OFFICIAL" in os.environ else ["test_*.py"]

Observe = Callable[[bool], dict[str, Any]]  # Any: JSON


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the official package alone, to be put on the path before ours."""
    folder = tmp_path_factory.mktemp("official")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), OFFICIAL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.skip(f"the package index does not give {OFFICIAL}: {done.stderr.strip().rpartition(chr(10))[2]}")
    return folder


@pytest.fixture(scope="session")
def of_official(official: Path) -> Observe:
    """The behaviour of the official package, on ZeroGPU or off it."""
    on = {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9"}
    return cache(lambda in_farm: _observed(in_farm, {"PYTHONPATH": str(official)} | (on if in_farm else {})))


@pytest.fixture(scope="session")
def of_ours() -> Observe:
    """What our package does, in a farm or outside of one."""
    return cache(lambda in_farm: _observed(in_farm, {"ZEROFARM_ROLE": "web"} if in_farm else {}))


def _observed(in_farm: bool, environment: dict[str, str]) -> dict[str, Any]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ZEROFARM", "SPACES", "PYTHON"))}
    command = [sys.executable, str(Path(__file__).with_name("probes.py")), "farm" if in_farm else "alone"]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen
