"""Reads `[home]` and `[privacy]` of `farm.toml`: the names of the home page, and how lists name visitors.

[home]
hosts = ["farm.example.org"]    # names by which browsers reach the home page, beside this host's own
address = "https://farm.example.org/gpu"  # its address, where a proxy of the operator's shows it by another one

[privacy]
arguments = false               # Flower shows no arguments of calls
visitors = "short"              # `zerofarm quota` lists `user:a…` instead of `user:ada`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from spaces.farm.queue.settings_file.checks import Checks, checked, is_texts

#: The tables of the settings that are read here.
TABLES = ("home", "privacy")

#: How visitors are named in lists.
FULL, SHORT = "full", "short"


@dataclass(frozen=True, slots=True)
class HomeRules:
    """The home page."""

    hosts: tuple[str, ...] = ()  #: names by which browsers may ask it, beside this host's own
    address: str = ""  #: its address in browsers, without a last /; empty: the one that they ask

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> HomeRules:  # Any, here and below: parsed TOML
        """The rules in the parsed settings. Raises ValueError, which names the setting."""
        allowed: Checks = {
            "hosts": (is_texts, "a list of names, as in a URL"),
            "address": (_is_address, 'an address such as "https://farm.example.org/gpu", without a last /'),
        }
        found = checked(tables, "home", allowed)
        address = found.get("address", "")
        named = [urlsplit(address).hostname] if address else []
        return cls(tuple(name.lower() for name in (*found.get("hosts", ()), *named) if name), address)


@dataclass(frozen=True, slots=True)
class PrivacyRules:
    """How much operators see of visitors."""

    arguments: bool = True  #: whether Flower shows the arguments of calls in a few words
    visitors: str = FULL  #: how lists name visitors: `full`, or only their beginning

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> PrivacyRules:
        """The rules in the parsed settings. Raises ValueError, which names the setting."""
        allowed: Checks = {
            "arguments": (lambda value: isinstance(value, bool), "true or false"),
            "visitors": (lambda value: value in (FULL, SHORT), f'"{FULL}" or "{SHORT}"'),
        }
        return cls(**checked(tables, "privacy", allowed))

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


def _is_address(value: object) -> bool:
    if not isinstance(value, str) or value.endswith("/"):
        return False
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
