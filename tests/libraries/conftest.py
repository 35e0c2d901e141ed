"""Spaces that use one library each, in environments of their own. `make test-libraries` runs them and `make test` not:
they need the package index, and gigabytes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces.source import Source
from spaces_workers.isolation import prepare
from tests.harness import SPACES, Farm, farm

collect_ignore_glob = [] if "TEST_LIBRARIES" in os.environ else ["test_*.py"]

LIBRARIES = SPACES / "libraries"

_rows: list[str] = []


@pytest.fixture
def library_farm(tmp_path: Path) -> Iterator[Farm]:
    """A farm with one worker for one library."""
    with farm(tmp_path) as made:
        made.start_worker()
        yield made


def serve(farm: Farm, name: str) -> None:
    """Make a library's Space known, in the environment that its `requirements.txt` asks for."""
    app_file = LIBRARIES / name / "app.py"
    if not (app_file.parent / "requirements.txt").read_text().strip():
        farm.register(name, app_file)
        return
    kept = Path(tempfile.gettempdir(), "zerofarm-test-libraries")
    farm.register(name, app_file, prepare(Source(app_file), kept, print).python)


def tell(row: str) -> None:
    """Add a row to the table that is printed at the end, in the form of `docs/compatibility.md`."""
    _rows.append(row)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for row in sorted(_rows):
        terminalreporter.write_line(row)
