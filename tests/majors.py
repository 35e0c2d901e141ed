"""Every pattern of `docs/zerogpu.md` on Gradio 6, 5 and 4, with Spaces started both ways: `make test-majors`.

Prints them in a table; `ARGS="5-plain 5-forked"` makes two of its columns. Needs the package index once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Versions of Gradio by the names of columns; the farm's own has no name.
GRADIOS = {"6": "", "5": "5.49.1", "4": "4.44.1"}

#: How a Space starts, and what tells the harness so.
WAYS = {"plain": "", "forked": "1"}

COLUMNS = [f"{gradio}-{way}" for gradio in GRADIOS for way in WAYS]

#: Its Spaces have no pages.
WITHOUT_PAGES = "processes/test_isolation.py"


@dataclass(frozen=True, slots=True)
class Pattern:
    number: str
    title: str
    shown_by: tuple[tuple[str, str], ...]  #: files below `tests`, each with the beginning of names, or nothing

    def shows(self, file: str, name: str) -> bool:
        """Whether it is shown by this test."""
        return any(
            file == path and f"{name}_".startswith(f"{start}_" if start else "") for path, start in self.shown_by
        )


def patterns() -> list[Pattern]:
    """The patterns of the table."""
    section = (ROOT / "docs" / "zerogpu.md").read_text().partition("## Patterns of real Spaces\n")[2]
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+) \|$", section, re.M)
    return [Pattern(number, title, tuple(_tests(shown))) for number, title, shown in rows]


def _tests(shown: str) -> Iterator[tuple[str, str]]:
    for file, start in re.findall(r"`([\w/]+\.py)(?:::(\w+)…)?`", shown):
        if file != WITHOUT_PAGES:
            yield file, start


def run(column: str, files: list[str]) -> list[tuple[str, str, str]]:
    """File, name and outcome of each test: `passes`, `fails` or `skipped`."""
    gradio, way = column.split("-")
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report.name}", *files]
        environment = os.environ | {"TEST_GRADIO": GRADIOS[gradio], "TEST_FORKED": WAYS[way]}
        subprocess.run(command, cwd=ROOT, env=environment)
        return [_outcome(case) for case in ElementTree.parse(report.name).iter("testcase")]


def _outcome(case: ElementTree.Element) -> tuple[str, str, str]:
    file = case.attrib["classname"].removeprefix("tests.").replace(".", "/") + ".py"
    said = {each.tag for each in case}
    outcome = "fails" if said & {"failure", "error"} else "skipped" if "skipped" in said else "passes"
    return file, case.attrib["name"].partition("[")[0], outcome


def cell(pattern: Pattern, outcomes: list[tuple[str, str, str]]) -> str:
    """How a pattern went; one of which nothing ran has failed."""
    seen = [outcome for file, name, outcome in outcomes if pattern.shows(file, name)]
    if "fails" in seen or "passes" not in seen:
        return "fails"
    return f"passes, {skipped} skipped" if (skipped := seen.count("skipped")) else "passes"


def main(columns: list[str]) -> int:
    """Run the tests of the patterns, and print the table. Returns 1 if any of them fails."""
    known = patterns()
    files = sorted({f"tests/{file}" for pattern in known for file, _ in pattern.shown_by})
    outcomes = {column: run(column, files) for column in columns}
    print(f"| | pattern | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}")
    cells = {pattern: [cell(pattern, outcomes[column]) for column in columns] for pattern in known}
    for pattern, each in cells.items():
        print(f"| {pattern.number} | {pattern.title} | {' | '.join(each)} |")
    other = {row for of_column in outcomes.values() for row in of_column if row[2] == "fails"}
    return int(bool(other) or any("fails" in each for each in cells.values()))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or COLUMNS))
