"""Finds the line of a settings file that a message is about: Python's reader of TOML keeps no places."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+")
_KEY = re.compile(r"""\s*(?:"([^"]+)"|'([^']+)'|([\w.-]+))\s*=""")

#: What messages begin with: a table and a key, a table that has an unknown key, or an unknown table.
_TOLD = re.compile(r"\[([^\]]+)\] (?:has an unknown '([^']+)'|([\w.-]+))|has an unknown '([^']+)'|^([\w.-]+) must be")


def line_of(text: str, message: str) -> int | None:
    """The number of the line, from 1; None if the message is about none."""
    told = _TOLD.search(message)
    if told is None:
        return None
    table, unknown, key, top, other = told.groups()
    if table is None:
        return _line(text, "", top or other) or _line_of_table(text, top or other)
    return _line(text, table, unknown or key) or _line_of_table(text, table)


def _line(text: str, table: str, key: str) -> int | None:
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            here = header[1].replace('"', "").replace("'", "")
        elif found := _KEY.match(line):
            name = next(filter(None, found.groups()))
            if (here, name) == (table, key) or f"{here}.{name}".strip(".") == f"{table}.{key}".strip("."):
                return number
    return None


def _line_of_table(text: str, table: str) -> int | None:
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        named = header[1].replace('"', "").replace("'", "") if header else ""
        if named == table or named.startswith(f"{table}."):
            return number
        if (found := _KEY.match(line)) and table.endswith(next(filter(None, found.groups()))):
            return number
    return None
