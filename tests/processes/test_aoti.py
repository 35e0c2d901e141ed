"""Ahead-of-time compilation on a farm: by one child, in a call before the launch, and for all children after it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from tests.harness import Farm
from tests.waiting import PATIENCE

pytest.importorskip("torch")

CACHE = "ZEROFARM_STATE_DIR"


@pytest.fixture
def cache(own_farm: Farm, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of compiled code of this test's farm; torch puts its own folder into the environment."""
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv(CACHE, str(own_farm.state_dir))
    return own_farm.state_dir / "compiled" / "aoti"


@contextmanager
def visiting(url: str) -> Iterator[Client]:
    client = Client(url, verbose=False)
    try:
        yield client
    finally:
        client.close()


def compare(url: str) -> Any:
    with visiting(url) as visitor:
        return visitor.predict(api_name="/compare")


def packages(cache: Path) -> dict[str, int]:
    return {package.name: package.stat().st_ino for package in cache.glob("program-*")}


@pytest.mark.timeout(1500)  # a compiler runs, and two web processes start
def test_what_a_child_compiled_is_used_by_all_that_follow(own_farm: Farm, cache: Path) -> None:
    worker = own_farm.start_worker()
    unpacked = set(Path(tempfile.gettempdir()).glob("aotinductor_*"))
    told = compare(own_farm.start_web("compiled"))
    assert told["device"] == "cuda:0"
    assert told["apart"] < 1e-6
    assert [Path(library).is_relative_to(cache) for library in told["libraries"]] == [True]
    made = packages(cache)
    assert len(made) == 1

    # The farm dies, and the Space starts anew: it makes the same call before its launch.
    os.kill(worker.pid, signal.SIGKILL)
    web = own_farm.webs.pop("compiled")
    web.kill()
    web.wait()
    own_farm.start_worker("cpu1")
    assert compare(own_farm.start_web("compiled"))["libraries"] == told["libraries"]
    assert packages(cache) == made
    assert set(Path(tempfile.gettempdir()).glob("aotinductor_*")) == unpacked


def test_torch_compile_is_allowed_and_keeps_its_cache_with_the_farm_s_state(own_farm: Farm, cache: Path) -> None:
    """A stand-in runs compiled code uncompiled; on a GPU a child finds the package of an earlier child."""
    own_farm.register("jit")
    own_farm.start_worker()
    with own_farm.client("jit") as client:
        apart, folder = client.submit("jit", "compare").result(timeout=PATIENCE)
    assert apart < 1e-6
    assert Path(folder).is_relative_to(own_farm.state_dir)
