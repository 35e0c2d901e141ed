"""The references in `docs` are what the code says now, and they leave nothing out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from docs.reference import DOCS, PAGES
from docs.reference.comments import named_in, sentence
from docs.reference.environment import OURS, modules
from docs.reference.farm_toml import farm_toml
from docs.reference.variables import OTHERS

PAGE = DOCS / "reference" / "environment.md"

ROWS_OF_FARM_TOML = (
    "| `longest_wait` | a number of at least 1 | `43200` | Seconds after which a task that waits is ended. |",
    "| `priority` | seconds from -600 to 600 | `0` | Seconds of waiting that its tasks are given ahead. |",
    '| `visitors` | "full" or "short" | `"full"` | How lists name visitors: `full`, or only their beginning. |',
    "| `VISITOR` | one of the tiers user, anonymous, space | | The tier of this visitor. |",
)

COMMENTED = """\
#: Of two
#: lines.
NAME = "A"

class One:
    field: int = 3  #: of one; None: none
    bare: int = 4
"""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_reference_is_what_the_code_says(path: Path) -> None:
    assert path.read_text() == PAGES[path]() + "\n", "make reference"


def test_every_reference_lies_beside_what_makes_it() -> None:
    assert sorted(path for path in PAGES if path.parent != DOCS) == sorted((DOCS / "reference").glob("*.md"))


def test_every_option_key_and_variable_has_a_meaning() -> None:
    rows = [line for path in PAGES for line in path.read_text().splitlines() if line.startswith("| `")]
    assert len(rows) > 250
    assert [row for row in rows if "| . |" in row or row.removeprefix("| ").partition(" | ")[2].startswith("|")] == []


def test_every_variable_of_ours_that_the_code_names_is_in_the_reference() -> None:
    named = {text for path in modules() for text in texts_of(path) if OURS.fullmatch(text)}
    assert len(named) > 20
    assert [name for name in sorted(named) if f"| `{name}` |" not in PAGE.read_text()] == []


def test_the_code_names_every_variable_of_others_that_the_reference_has() -> None:
    named = {text for path in modules() for text in texts_of(path)}
    assert sorted(OTHERS.keys() - named) == []


def test_the_reference_of_farm_toml_has_allowed_values_defaults_and_meanings() -> None:
    rows = farm_toml().splitlines()
    assert [row for row in ROWS_OF_FARM_TOML if row not in rows] == []


def test_comments_above_and_behind_are_read(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text(COMMENTED)
    assert [(each.owner, each.name, each.value, each.meaning) for each in named_in(file)] == [
        ("", "NAME", "A", "Of two lines."),
        ("One", "field", 3, "of one; None: none"),
        ("One", "bare", 4, ""),
    ]
    assert sentence("of one | two; None: none") == r"Of one \| two; without it: none."


def texts_of(path: Path) -> set[str]:
    """The texts in a file of Python."""
    constants = (each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Constant))
    return {each.value for each in constants if isinstance(each.value, str)}
