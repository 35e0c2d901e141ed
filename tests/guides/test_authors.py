"""The Space of `docs/authors.md`, on a farm and under its test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client.exceptions import AppError

from tests.end_to_end.test_up import Up, without_a_farm
from tests.guides.blocks import block

GUIDE = "authors.md"


def test_the_space_of_the_guide_streams_and_says_what_is_wrong(farm: Up) -> None:
    visitor = farm.client("my-space")
    job = visitor.submit("abc", 3, api_name="/compute")
    job.result(240)
    assert [line for line in job.outputs() if line] == [f"abc: round {each} has 64 values" for each in (1, 2, 3)]
    with pytest.raises(AppError, match="Write something first"):
        visitor.predict(" ", 3, api_name="/compute")


def test_the_test_of_the_guide_passes(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(block(GUIDE, "A Space", "python"))
    (tmp_path / "test_app.py").write_text(block(GUIDE, "Tests", "python"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "test_app.py",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path, env=without_a_farm())
    assert ended.returncode == 0, ended.stdout
