"""Tests that the documents name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: `folder/test_file.py::test_name`, or `…::test_name` of the file before; a name may be cut by `…`.
_NAMED = re.compile(r"`(?P<file>[\w./]*test_\w+\.py|…)(::(?P<test>test_\w+)(?P<cut>…)?)?`")


def named(text: str) -> list[tuple[str, str, bool]]:
    """The file, the test and whether its name is cut, of everything that a text names."""
    found, file = [], ""
    for match in _NAMED.finditer(text):
        file = file if match["file"] == "…" else match["file"]
        found.append((file, match["test"] or "", bool(match["cut"])))
    return found


def test_every_test_that_the_comparison_with_zerogpu_names_is_there() -> None:
    references = named((ROOT / "docs" / "zerogpu.md").read_text())
    assert len(references) > 80
    missing = [f"{file}::{test}" for file, test, cut in references if not is_there(file, test, cut)]
    assert missing == []


def test_every_row_of_the_comparison_with_zerogpu_names_its_test() -> None:
    rows = rows_shown((ROOT / "docs" / "zerogpu.md").read_text())
    assert len(rows) > 80
    assert [row for row in rows if not names_a_test(row)] == []


def rows_shown(text: str) -> list[str]:
    """The rows of the tables whose last column says by which test each is shown."""
    found, shown = [], False
    for line in text.splitlines():
        is_row = line.startswith("|") and not line.startswith("|---")
        shown = line.endswith("| shown by |") or (shown and line.startswith("|"))
        if shown and is_row and not line.endswith("| shown by |"):
            found.append(line)
    return found


def names_a_test(row: str) -> bool:
    return "`" in row[1:-1].split(" | ")[-1]


def is_there(file: str, test: str, cut: bool) -> bool:
    paths = [ROOT / "tests" / folder / file for folder in ("", "end_to_end")]
    text = next((path.read_text() for path in paths if path.is_file()), "")
    return bool(text) and re.search(rf"def {test}{'' if cut or not test else '[(]'}", text) is not None


def test_a_row_whose_last_column_is_blank_is_found() -> None:
    rows = rows_shown("| a | shown by |\n|---|---|\n| `x` | |\n| y | `unit/test_docs.py` |\n\n| b | c |\n| d | e |\n")
    assert rows == ["| `x` | |", "| y | `unit/test_docs.py` |"]
    assert [names_a_test(row) for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("file", "test", "cut"),
    [
        ("unit/test_nothing.py", "", False),
        ("unit/test_docs.py", "test_noth", True),
        ("unit/test_docs.py", "nam", False),
    ],
)
def test_what_is_not_there_is_found_missing(file: str, test: str, cut: bool) -> None:
    assert not is_there(file, test, cut)
