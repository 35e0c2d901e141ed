"""The program in JavaScript of `docs/calling.md`, run as it stands there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import installed
from tests.guides.blocks import block
from tests.guides.farms import farm_of_demos, of_farm


def test_the_program_in_javascript_prints_what_the_guide_says(
    tmp_path_factory: pytest.TempPathFactory, packages: Path
) -> None:
    folder = installed(packages, "2.7.0").parents[4]
    with farm_of_demos(tmp_path_factory.mktemp("guide")) as demos:
        (folder / "program.mjs").write_text(of_farm(block("calling.md", "JavaScript", "javascript"), demos))
        ended = subprocess.run(["node", "program.mjs"], cwd=folder, capture_output=True, text=True, timeout=240)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == block("calling.md", "JavaScript", "text")
