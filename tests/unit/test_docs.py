"""Everything that the documents name is there: files, tests, modules, commands, options, targets, variables, links."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise

import pytest

from .documents import ROOT, faults

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for folder in (".", "docs", "docs/reference", "deploy", "benchmarks")
    for path in (ROOT / folder).glob("*.md")
    if path.name != "CHANGELOG.md"  # its entries keep the names of their time
)

CONFIGURATIONS = [
    "docker-compose.yml",
    *(f"deploy/docker-compose.{name}.yml" for name in ("cpu", "domain", "hosts", "separated", "worker")),
    *(f"deploy/{name}" for name in ("broker.conf", "env.example", "farm.toml")),
    *(f"deploy/{name}.service" for name in ("zerofarm", "zerofarm-worker")),
    *("app/Dockerfile", "workers/Dockerfile", "Makefile"),
]

#: A text beside the fault that it has, or has not.
SENTENCES = [
    ("`run/deadline.py` and `farm/queue/lua/claim.lua`", ""),
    ("`worker/nothing.py`", "worker/nothing.py: there is none"),
    ("Save this as `julia/app.py`:\n\n`python julia/app.py`", ""),
    ("Save this as `julia/app.py`:\n\n`python juli/app.py`", "juli/app.py: there is none"),
    ("`__main__.py`", "__main__.py: there are several"),
    ("`farm.toml` and `requirements.txt`", ""),
    ("`deadline.py::GRACE`, `pool.py::TaskPool.on_apply`", ""),
    ("`deadline.py::NOTHING`", "deadline.py::NOTHING: there is none"),
    ("`unit/test_docs.py::test_every_…`", ""),
    ("`unit/test_docs.py::test_no_such…`", "unit/test_docs.py::test_no_such: there is none"),
    ("`unit/test_docs.py` and `…::test_no_such`", "unit/test_docs.py::test_no_such: there is none"),
    ("`tests/unit`, `tests/nowhere/`", "tests/nowhere/: there is none"),
    ("`spaces.GPU`, `spaces.errors.QuotaExceeded`, `python -m benchmarks.latency`", ""),
    ("`spaces.nothing`", "spaces.nothing: neither"),
    ("`spaces.aoti_…`, `spaces.GP`", "spaces.GP: neither"),
    ("`zerofarm up ./my-space --gpus 0,1`", ""),
    ("`zerofarm start`", "zerofarm start: no such command"),
    ("`zerofarm status --gpus 0`", "zerofarm status --gpus: no such option"),
    ("```console\nzerofarm up --nothing  # --gpus\n```\n", "zerofarm up --nothing: no such option"),
    ('```yaml\n    command: ["web", "/a", "--nothing"]\n```\n', "zerofarm web --nothing: no such option"),
    ("`--state-dir`", ""),
    ("`--nothing`", "--nothing: no command"),
    ("Text.\n\n    python -m benchmarks.recovery  # 90 s\n", ""),
    ("`python -m benchmarks.recovery --nothing`", "benchmarks.recovery --nothing: no such option"),
    ('`make lint`, `make test ARGS="-k codec"`', ""),
    ("`make lint nothing`", "make nothing: no such target"),
    ("`ZEROFARM_CONFIG`", ""),
    ("`ZEROFARM_NO" + "THING=1`", "ZEROFARM_NO" + "THING: no code has this name"),
    ("[text](scale.md#memory)", ""),
    ("[text](nowhere.md)", "(nowhere.md): leads nowhere"),
    ("[text](scale.md#nothing)", "(scale.md#nothing): no such heading"),
]


@pytest.mark.parametrize("name", [*DOCUMENTS, *CONFIGURATIONS])
def test_everything_that_a_document_names_is_there(name: str) -> None:
    path = ROOT / name
    assert faults(path, path.read_text()) == []


@pytest.mark.parametrize(("text", "fault"), SENTENCES)
def test_a_name_that_leads_nowhere_is_found(text: str, fault: str) -> None:
    found = faults(ROOT / "docs" / "any.md", text)
    assert (len(found) == 1 and found[0].startswith(fault)) if fault else found == []


def test_the_documents_of_each_folder_are_looked_at() -> None:
    known = (
        "README",
        "CONTRIBUTING",
        "docs/architecture",
        "docs/design",
        "docs/zerogpu",
        "docs/scale",
        "deploy/README",
    )
    assert {f"{name}.md" for name in known} <= set(DOCUMENTS)


def test_the_map_of_the_folders_has_each_of_them() -> None:
    mapped = rows_of(section("docs/architecture.md", "Folders"))
    named = {folder for row in mapped for folder in re.findall(r"`([\w/]+)/`", row.split(" | ")[0])}
    assert sorted(named) == sorted(packages())


def test_the_table_of_where_to_change_what_names_a_place_in_each_row() -> None:
    rows = rows_of(section("docs/architecture.md", "Where do I change ..."))
    assert len(rows) >= 13
    assert [row for row in rows if "::" not in row and "`" not in row.split(" | ")[1]] == []


def test_every_row_of_the_comparison_with_zerogpu_names_its_test() -> None:
    rows = rows_shown((ROOT / "docs" / "zerogpu.md").read_text())
    assert len(rows) > 80
    assert [row for row in rows if not names_a_test(row)] == []


def test_a_row_whose_last_column_is_blank_is_found() -> None:
    rows = rows_shown("| a | shown by |\n|---|---|\n| `x` | |\n| y | `unit/test_docs.py` |\n\n| b | c |\n| d | e |\n")
    assert rows == ["| `x` | |", "| y | `unit/test_docs.py` |"]
    assert [names_a_test(row) for row in rows] == [False, True]


def test_the_latest_release_of_the_changelog_is_the_version_of_the_package() -> None:
    headings = re.findall(r"^## \[(.*?)\](?: - \d{4}-\d\d-\d\d)?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert headings[:2] == ["Unreleased", version]


def section(name: str, heading: str) -> str:
    """The text below a heading of the second level, up to the next."""
    return (ROOT / name).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]


def rows_of(text: str) -> list[str]:
    """The rows of the tables in a text, without their heads."""
    rows = re.findall(r"^\|.*", text, re.M)
    return [row for row, below in pairwise([*rows, ""]) if "|---" not in row + below]


def packages() -> set[str]:
    """The folders of the three packages that hold Python files; demos are Spaces."""
    roots = ("spaces_client/spaces", "workers/spaces_workers", "app/spaces_app")
    folders = {path.parent for root in roots for path in (ROOT / root).rglob("*.py")}
    return {folder.relative_to(ROOT).as_posix() for folder in folders if folder.parent.name != "demos"}


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
