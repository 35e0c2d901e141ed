"""What tests of the command line share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from spaces_workers.cli import main
from tests.unit.command_run import Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; gives its exit code, output and errors."""

    def command(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zerofarm", *map(str, arguments)])
        with (
            patch.dict(os.environ),
            pytest.raises(SystemExit) as left,
        ):  # a command sets some for others
            main()
        told = capfd.readouterr()
        message, code = (f"{left.value.code}\n", 1) if isinstance(left.value.code, str) else ("", left.value.code)
        return code or 0, told.out, told.err + message

    return command
