"""Who may import whom: the contracts in pyproject.toml hold, and no modules import each other in a circle."""

from __future__ import annotations

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from spaces_app.demos import default_demos
from spaces_workers.commands.up import bundled_demos

ROOT = Path(__file__).parents[2]
PACKAGES = ("spaces", "spaces_workers", "spaces_app", "chaos")


def test_every_contract_of_imports_is_kept() -> None:
    """In a process of its own, because import-linter sets up logging for all of its process."""
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    linted = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    assert "spaces.farm.queue.queue" in graph.modules
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert circle(imported) == []


def circle(imported: dict[str, set[str]]) -> list[str]:
    """The modules of a circle, each importing the one before it; empty if there is none."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_contracts_are_about_our_own_packages(package: str) -> None:
    module = __import__(package)
    assert ROOT in Path(str(module.__file__)).parents


def test_the_bundled_demos_are_found_without_an_import_by_name() -> None:
    """By their entry point: an editable installation that is older than it has to be made again."""
    assert bundled_demos() == default_demos()
