"""Gradio's client for JavaScript, in node, through the front door."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import GRADIOS, installed, tell
from tests.end_to_end.test_up import Up

CALLER = Path(__file__).parent / "caller.mjs"

#: Of @gradio/client: the newest, one from the time of Gradio 5, and one from that of Gradio 4, which knows no other.
#: 1.19.1 hangs in node at its first `submit`, also at a page's own port.
CASES = [(version, space) for version in ("2.7.0", "1.15.6") for space in GRADIOS] + [("1.4.0", "gradio-4")]


@pytest.mark.parametrize(("version", "space"), CASES)
def test_a_program_calls_streams_uploads_and_downloads(farm: Up, packages: Path, version: str, space: str) -> None:
    page = farm.ready()["spaces"][space]
    command = ["node", str(CALLER), installed(packages, version).as_uri(), page]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    tell(space, f"`@gradio/client` {version}", passes=ended.returncode == 0)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told.pop("counted")[:5] == list("01234")  # the end repeats the last value
    assert told.pop("from").startswith(f"/spaces/{space}")
    assert told == {"shouted": "ABC", "uploaded": True, "downloaded": 3_000_064}
