"""GPU calls before the launch: the web process gets real values, and every zygote the same ones."""

from __future__ import annotations

import shutil
from pathlib import Path

from gradio_client import Client

from tests.harness import SPACES, Farm


def test_calls_before_the_launch_run_on_the_farm_and_are_replayed_in_zygotes(web_farm: Farm, tmp_path: Path) -> None:
    shutil.copytree(SPACES / "eager", tmp_path / "eager")
    url = web_farm.start_web("eager", tmp_path / "eager" / "app.py")
    visitor = Client(url, verbose=False)
    words = visitor.predict("now", api_name="/remember")
    assert words.startswith("now WARM ['a', 'ab', 'abc'] cold [")
    assert "'warm'" not in words  # that call ran in another child, made before the script had got this far
    assert "ONE" in str(visitor.predict(0, api_name="/examples"))
