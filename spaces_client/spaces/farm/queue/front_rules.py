"""Who may ask the home page, and what operators see of visitors, read and checked from the operator's settings.

[home]
hosts = ["farm.example.org"]    # names by which browsers reach the home page, beside this host's own

[privacy]
arguments = false               # Flower shows no arguments of calls
visitors = "short"              # `zerofarm quota` lists `user:a…` instead of `user:ada`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: The tables of the settings that are read here.
TABLES = ("home", "privacy")

#: How visitors are named in lists.
FULL, SHORT = "full", "short"


@dataclass(frozen=True, slots=True)
class HomeRules:
    """The home page."""

    hosts: tuple[str, ...] = ()  #: more names by which it may be asked

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> HomeRules:  # Any, here and below: parsed TOML
        """The rules in the parsed settings. Raises ValueError, which names the setting."""
        found = _checked(tables, "home", {"hosts": (_is_texts, "a list of names, as in a URL")})
        return cls(tuple(name.lower() for name in found.get("hosts", ())))


@dataclass(frozen=True, slots=True)
class PrivacyRules:
    """What operators see of visitors."""

    arguments: bool = True  #: whether Flower shows the arguments of calls in a few words
    visitors: str = FULL

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> PrivacyRules:
        """The rules in the parsed settings. Raises ValueError, which names the setting."""
        allowed = {
            "arguments": (lambda value: isinstance(value, bool), "true or false"),
            "visitors": (lambda value: value in (FULL, SHORT), f'"{FULL}" or "{SHORT}"'),
        }
        return cls(**_checked(tables, "privacy", allowed))

    def shown(self, visitor: str) -> str:
        """The name of a visitor, as lists show it."""
        kind, colon, name = visitor.partition(":")
        if self.visitors == FULL or not colon or kind == "space":
            return visitor
        return f"{kind}:{_beginning(kind, name)}…"


def _beginning(kind: str, name: str) -> str:
    """An address without its second half; a token, which is a hash, with enough of it to be told from others."""
    if kind == "address":
        mark = ":" if ":" in name else "."
        return mark.join(name.split(mark)[:2]) + mark
    return name[:6] if kind == "token" else name[:1]


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)


def _checked(
    tables: Mapping[str, Any], name: str, allowed: Mapping[str, tuple[Callable[[Any], bool], str]]
) -> dict[str, Any]:
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{name} must be a table, [{name}], got {table!r}")
    for key, value in table.items():
        if key not in allowed:
            raise ValueError(f"[{name}] has an unknown {key!r}; it may have {', '.join(allowed)}")
        fits, words = allowed[key]
        if not fits(value):
            raise ValueError(f"[{name}] {key} must be {words}, got {value!r}")
    return table
