"""The shape of the source: short files, short functions, folders that can be taken in at a glance."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
SOURCES = ("spaces_client", "workers", "app", "benchmarks")

#: Spaces as their authors write them, and what is no source.
APART = {"demos", "__pycache__", "node_modules"}

FILE_MEDIAN, FILE_LIMIT = 95, 300
FUNCTION_MEDIAN, FUNCTION_LIMIT = 6, 45
FOLDER_LIMIT = 20


def files(root: Path = ROOT) -> list[Path]:
    """Every file of the source."""
    found = (path for folder in SOURCES for path in (root / folder).rglob("*") if path.is_file())
    return sorted(path for path in found if not APART & {*path.relative_to(root).parts})


def modules() -> list[Path]:
    """Every file of Python that is not empty but for its docstring."""
    return [path for path in files() if path.suffix == ".py" and lines_of(path) > 1]


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def bodies(text: str) -> Iterator[tuple[str, int]]:
    """Each function's name and the lines of its body, without its docstring."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node.name, (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_half_of_all_files_have_less_than_95_lines_and_none_more_than_300() -> None:
    lengths = {named(path): lines_of(path) for path in modules()}
    assert len(lengths) > 200
    assert {name: length for name, length in lengths.items() if length > FILE_LIMIT} == {}
    assert median(lengths.values()) < FILE_MEDIAN


def test_half_of_all_functions_have_less_than_6_lines_and_none_more_than_45() -> None:
    lengths = {
        f"{named(path)}:{name}": length
        for path in modules()
        for name, length in bodies(path.read_text(encoding="utf-8"))
    }
    assert len(lengths) > 1000
    assert {name: length for name, length in lengths.items() if length > FUNCTION_LIMIT} == {}
    assert median(lengths.values()) < FUNCTION_MEDIAN


def test_no_folder_has_more_than_20_files() -> None:
    counts = Counter(named(path.parent) for path in files())
    assert {folder: count for folder, count in counts.items() if count > FOLDER_LIMIT} == {}


def test_a_function_is_measured_without_its_docstring_and_with_the_functions_in_it() -> None:
    text = '''def outer():
    """Says
    much."""
    def inner():
        return 1
    return inner

def bare():
    """."""
'''
    assert dict(bodies(text)) == {"outer": 3, "inner": 1, "bare": 0}
