"""Reads the comments that begin with `#:`: they say what a constant, or a field of a class, means."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(r"(?:^\s*|  )#: (.*)")


@dataclass(frozen=True, slots=True)
class Named:
    """A constant of a module, or a field of one of its classes."""

    owner: str  #: the class; empty: the module
    name: str
    value: object  #: if it is a literal; else None
    meaning: str  #: empty: it has no comment


def named_in(path: Path) -> Iterator[Named]:
    """All of a module, in its order."""
    text = path.read_text()
    module, lines = ast.parse(text), text.splitlines()
    yield from _of_body("", module.body, lines)
    for each in ast.walk(module):
        if isinstance(each, ast.ClassDef):
            yield from _of_body(each.name, each.body, lines)


def sentence(meaning: str) -> str:
    """A comment as a cell of a table: `none` and `empty` are what a file has that leaves the value out."""
    told = re.sub(r"(;|^) ?(?:None|empty): ", r"\1 without it: ", meaning).strip().removesuffix(".").replace("|", "\\|")
    return f"{told[:1].upper()}{told[1:]}."


def _of_body(owner: str, body: Sequence[ast.stmt], lines: Sequence[str]) -> Iterator[Named]:
    for each in body:
        if isinstance(each, ast.Assign | ast.AnnAssign):
            target = each.target if isinstance(each, ast.AnnAssign) else each.targets[0]
            value = each.value.value if isinstance(each.value, ast.Constant) else None
            if isinstance(target, ast.Name):
                yield Named(owner, target.id, value, _comment(each, lines))


def _comment(statement: ast.stmt, lines: Sequence[str]) -> str:
    """Behind the statement, or in the lines above it."""
    if behind := _MARK.search(lines[(statement.end_lineno or 0) - 1]):
        return behind[1]
    above: list[str] = []
    for line in reversed(lines[: statement.lineno - 1]):
        if not line.lstrip().startswith("#: "):
            break
        above.insert(0, line.lstrip()[3:])
    return " ".join(above)
