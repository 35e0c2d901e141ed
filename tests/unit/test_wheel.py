"""What is in the wheel, which is all that users of `pip install zerofarm` get."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names in the wheel that is built from the source archive, as it is for a release."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize(
    "name",
    [
        "spaces/__init__.py",
        "spaces/py.typed",
        "spaces/farm/queue/lua/claim.lua",
        "spaces_workers/cli.py",
        "spaces_app/demos/digits/app.py",
        "spaces_app/demos/digits/model/model_index.json",
        "spaces_app/demos/names/model/model.safetensors",
        "spaces_app/demos/search/corpus.txt",
    ],
)
def test_the_wheel_has(names: set[str], name: str) -> None:
    assert name in names


def test_the_wheel_has_three_packages_and_nothing_else(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"spaces", "spaces_workers", "spaces_app"}
