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


def is_there(file: str, test: str, cut: bool) -> bool:
    paths = [ROOT / "tests" / folder / file for folder in ("", "end_to_end")]
    text = next((path.read_text() for path in paths if path.is_file()), "")
    return bool(text) and re.search(rf"def {test}{'' if cut or not test else '[(]'}", text) is not None


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
