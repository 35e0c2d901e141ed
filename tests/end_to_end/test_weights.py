"""The web process of a Space holds no weights; the worker does."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from gradio_client import Client

from tests.harness import SPACES, Farm

MEGABYTE = 1_000_000


def served(farm: Farm, name: str, folder: Path) -> tuple[float, int]:
    """The result of the Space's function, and the resident bytes of its web process."""
    shutil.copytree(SPACES / "heavy", folder / name)
    with closing(Client(farm.start_web(name, folder / name / "app.py"), verbose=False)) as visitor:
        said = visitor.predict(10, api_name="/total")
    return said, psutil.Process(farm.webs[name].pid).memory_info().rss


def test_a_web_process_is_as_small_as_without_weights(
    web_farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, light = served(web_farm, "light", tmp_path)
    monkeypatch.setenv("WEIGHTS_GB", "1")
    web_farm.stop_workers()  # the nursery gives zygotes the environment that it was started with
    web_farm.start_worker("cpu1")
    said, heavy = served(web_farm, "heavy", tmp_path)
    assert said == 10.0
    assert heavy - light < 100 * MEGABYTE
