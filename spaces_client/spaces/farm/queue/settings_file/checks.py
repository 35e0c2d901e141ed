"""Checks a table of `farm.toml` whose keys have fixed meanings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, TypeGuard

#: By key, whether a value is allowed, and what it must be, in words. Any: parsed TOML.
Checks: TypeAlias = Mapping[str, tuple[Callable[[Any], bool], str]]


def checked(tables: Mapping[str, Any], name: str, allowed: Checks) -> dict[str, Any]:  # Any: parsed TOML
    """The table of this name, empty if there is none. Raises ValueError, which names table, key and value."""
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{name} must be a table, [{name}], got {table!r}")
    refuse_others(name, table, allowed)
    for key, value in table.items():
        fits, words = allowed[key]
        if not fits(value):
            raise ValueError(f"[{name}] {key} must be {words}, got {value!r}")
    return table


def refuse_others(name: str, table: Mapping[str, Any], known: Collection[str]) -> None:  # Any: parsed TOML
    """Raise ValueError for the first key of a table that is not known."""
    for key in table:
        if key not in known:
            raise ValueError(f"[{name}] has an unknown {key!r}; it may have {', '.join(known)}")


def is_text(value: object) -> bool:
    """Whether it is a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_texts(value: object) -> TypeGuard[list[str]]:
    """Whether it is a list of such texts."""
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)
