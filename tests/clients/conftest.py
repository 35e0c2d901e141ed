"""Clients of other makers, at pages of each major version of Gradio behind one front door. `make test-clients` runs
them and `make test` not: they need node, and the indexes of npm and Python."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES
from tests.waiting import wait_until

collect_ignore_glob = [] if "TEST_CLIENTS" in os.environ else ["test_*.py"]

#: Versions of Gradio by the names of the Spaces that use them; the farm's own has no name.
GRADIOS = {"gradio-6": "", "gradio-5": "5.49.1", "gradio-4": "4.44.1"}

_rows: list[str] = []


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A farm with the Space `doorway` on each version of Gradio."""
    with serving_each_gradio(tmp_path_factory.mktemp("clients")) as farm:
        yield farm


@contextmanager
def serving_each_gradio(folder: Path, *options: str) -> Iterator[Up]:
    served = [str(made(folder / name, version)) for name, version in GRADIOS.items()]
    farm = Up(folder, *served, "--gpus", "none", "--no-flower", *options)
    wait_until(lambda: farm.told("ready") or farm.process.poll() is not None, 900)  # environments are made
    with serving(farm):
        yield farm


def made(folder: Path, version: str) -> Path:
    """The Space, with the environment that its version of Gradio needs; MCP servers came with Gradio 5."""
    script = (SPACES / "doorway" / "app.py").read_text()
    folder.mkdir()
    (folder / "app.py").write_text(script.replace("mcp_server=True", "") if version.startswith("4.") else script)
    if version:
        (folder / "requirements.txt").write_text(f"gradio=={version}\n")
    return folder


@pytest.fixture(scope="session")
def packages() -> Path:
    """Where packages of npm are kept."""
    return Path(tempfile.gettempdir(), "zerofarm-test-clients")


def installed(packages: Path, version: str) -> Path:
    """The module of `@gradio/client` in this version."""
    folder = packages / f"client-{version}"
    module = folder / "node_modules" / "@gradio" / "client" / "dist" / "index.js"
    if not module.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", f"@gradio/client@{version}"], cwd=folder, check=True
        )
    return module


def tell(space: str, client: str, *, passes: bool) -> None:
    """Add a row to the table that is printed at the end, in the form of `docs/calling.md`."""
    _rows.append(f"| {space} | {client} | {'passes' if passes else 'fails'} |")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for row in sorted(_rows):
        terminalreporter.write_line(row)
