"""What all tests share; and importing Gradio leaves event loops open, which is its own affair and no test's."""

from __future__ import annotations

import gc
import os
import re
import shutil
import tempfile
import warnings

# Spaces of tests write to the tests' own folders. `tests/hostile` and whole farms have the level of the host.
os.environ.setdefault("ZEROFARM_ISOLATION", "none")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import gradio  # noqa: F401

    gc.collect()

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.harness import Farm, expect_nothing_left, farm
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]

_OWN_FOLDER = pytest.StashKey[str]()

# How long an example takes says more of what else the machine does than of our code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# The 5 s that httpx waits by itself are too short for a busy machine, and gradio_client leaves them as they are.
for _wait in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _wait, PATIENCE)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A short path for the folders of tests, and the same on every host: sockets are in them."""
    if config.option.basetemp is None:
        config.option.basetemp = folder = tempfile.mkdtemp(prefix="zf-")
        config.stash[_OWN_FOLDER] = folder


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What the tests have written is kept where one has failed."""
    if exitstatus == pytest.ExitCode.OK and (folder := session.config.stash.get(_OWN_FOLDER, None)):
        shutil.rmtree(folder, ignore_errors=True)


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Tests of one file share its fixtures, so they run one after the other; so do all that start whole farms."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """The groups of `--dist loadgroup` of pytest-xdist 3.8.0 have no effect with pytest 9.2."""
    return ByFile(config, log)


@cache
def _group(file: str) -> str:
    return "whole farms" if re.search(r"\bUp\(", (ROOT / file).read_text()) else file


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test leaves a payload in shared memory or in the broker of a farm, nor a key without a lifetime."""
    yield
    expect_nothing_left()


@pytest.fixture
def own_farm(tmp_path: Path) -> Iterator[Farm]:
    """A farm for a test that breaks things: a broker, and no worker yet."""
    with farm(tmp_path) as made:
        yield made
