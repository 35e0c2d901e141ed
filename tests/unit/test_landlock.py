"""The domain around a Space takes nothing from it but the sight of other processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spaces_workers.sandbox import system_calls as calls
from tests.waiting import PATIENCE

#: The first version of the interface that lets a domain allow what the test does.
WITH_REFER = 2

pytestmark = pytest.mark.skipif(calls.landlock_version() < WITH_REFER, reason="this kernel's Landlock is too old")

_CONFINED = """
import os, sys
from spaces_workers.sandbox import landlock, system_calls as calls
calls.gain_no_privileges()
landlock.confine()
os.chdir(sys.argv[1])
os.rename("one/file", "two/file")
os.link("two/file", "one/again")
os.rename("one", "two/one")
"""


def test_files_are_moved_between_folders(tmp_path: Path) -> None:
    """It failed with `Invalid cross-device link`: uv could install nothing where the farm was not root's."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "file").write_text("text")
    command = [sys.executable, "-c", _CONFINED, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "two" / "one" / "again").read_text() == "text"
