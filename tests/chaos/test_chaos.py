"""A farm under load whose parts fail: three short orders of faults. `make chaos` runs longer ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_call_is_answered_once_and_nothing_is_left_over(seed: int) -> None:
    command = [sys.executable, "-m", "chaos", "--seed", str(seed), "--calls", "120", "--longest", "3"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380)
    assert ended.returncode == 0, ended.stdout + ended.stderr
