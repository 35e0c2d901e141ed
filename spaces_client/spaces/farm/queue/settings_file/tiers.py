"""The quotas of each tier of visitors, and the visitors' tiers, read and checked from the operator's settings.

    [quota]
    enabled = true
    half_life = 3600                      # seconds after which a used second counts half in the rank
    usage_weight = 1.0                    # seconds of rank for each used second
    trusted_proxies = ["10.0.0.0/8"]      # proxies whose X-Forwarded-For is trusted

    [tiers.anonymous]
    daily = 300                           # GPU seconds in a day
    longest = 120                         # seconds that one task may request
    parallel = 2                          # tasks that may wait or run at once

    [visitors]
    ada = "member"

A missing key, or a tier without a table, means no limit. `docs/quotas.md` has the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, TypeVar

from spaces.errors import RefusedError
from spaces.farm.queue.settings_file.allowed import Number
from spaces.farm.queue.settings_file.checks import refuse_others

T = TypeVar("T")

#: The prefix of a visitor's name, and the tier of visitors that `[visitors]` does not list.
DEFAULT_TIERS = {"user": "user", "token": "user", "address": "anonymous", "space": "space"}

#: The tables of the settings that are read here.
TABLES = ("quota", "tiers", "visitors")


@dataclass(frozen=True, slots=True)
class Tier:
    """The quota of one kind of visitor; a key that is missing is no limit."""

    name: str
    daily: float | None = None  #: GPU seconds in a day, which begins with the first task after the previous day
    longest: float | None = None  #: most seconds that one task may request
    parallel: int | None = None  #: most tasks that wait or run at once


@dataclass(frozen=True, slots=True)
class QuotaRules:
    """How visitors share the farm."""

    enabled: bool = False  #: whether visitors have quotas, and their use counts in the rank
    half_life: float = 3600.0  #: seconds after which a used second counts half in the rank
    usage_weight: float = 1.0  #: seconds for which others may overtake, for each used second
    trusted_proxies: tuple[str, ...] = ()  #: addresses and networks of proxies whose X-Forwarded-For is trusted
    tiers: Mapping[str, Tier] = field(default_factory=dict)
    visitors: Mapping[str, str] = field(default_factory=dict)  #: tiers of visitors by their full names

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> QuotaRules:  # Any, here and below: parsed TOML
        """The rules in the parsed settings; other tables are ignored. Raises ValueError, which names the setting."""
        quota, usual = _table(tables, "quota", "[quota]"), cls()
        refuse_others("quota", quota, ("enabled", "half_life", "usage_weight", "trusted_proxies"))
        tiers = {name: _tier(name, table) for name, table in _table(tables, "tiers", "[tiers]").items()}
        visitors = _table(tables, "visitors", "[visitors]")
        return cls(
            enabled=_value("[quota] enabled", quota.get("enabled", usual.enabled), bool),
            half_life=_number("[quota] half_life", quota.get("half_life", usual.half_life), least=1.0),
            usage_weight=_number("[quota] usage_weight", quota.get("usage_weight", usual.usage_weight)),
            trusted_proxies=_proxies(quota.get("trusted_proxies", [])),
            tiers=tiers,
            visitors=dict(_members(visitors, tiers)),
        )

    def tier(self, visitor: str) -> Tier:
        """The tier of a visitor; one without limits if the settings have no table for it. Raises RefusedError."""
        name = self.visitors.get(visitor) or DEFAULT_TIERS.get(visitor.partition(":")[0])
        if name is None:
            kinds = ", ".join(f"{each}:…" for each in DEFAULT_TIERS)
            raise RefusedError(f"a visitor is named by one of {kinds}, got {visitor!r}")
        return self.tiers.get(name) or Tier(name)


def visitor_name(given: str) -> str:
    """A visitor as the settings and the command line name them: `ada` is short for `user:ada`."""
    kind, colon, _ = given.partition(":")
    return given if colon and kind in DEFAULT_TIERS else f"user:{given}"


def _tier(name: str, given: object) -> Tier:
    where = f"[tiers.{name}]"
    table = _value(where, given, dict)
    refuse_others(f"tiers.{name}", table, ("daily", "longest", "parallel"))
    return Tier(
        name,
        daily=_number(f"{where} daily", table["daily"]) if "daily" in table else None,
        longest=_number(f"{where} longest", table["longest"]) if "longest" in table else None,
        parallel=_count(f"{where} parallel", table["parallel"]) if "parallel" in table else None,
    )


def _members(table: Mapping[str, Any], tiers: Mapping[str, Tier]) -> Iterator[tuple[str, str]]:
    known = list(dict.fromkeys([*tiers, *DEFAULT_TIERS.values()]))  # a list, because `tier` may be unhashable
    for visitor, tier in table.items():
        if tier not in known:
            remedy = f" Add [tiers.{tier}]" if isinstance(tier, str) else ""
            raise ValueError(f"[visitors] {visitor} must be one of the tiers {', '.join(known)}, got {tier!r}.{remedy}")
        yield visitor_name(visitor), tier


def _proxies(given: object) -> tuple[str, ...]:
    proxies = _value("[quota] trusted_proxies", given, list)
    for proxy in proxies:
        try:
            ip_network(proxy, strict=False)
        except ValueError:
            raise ValueError(f"[quota] trusted_proxies must be addresses or networks, got {proxy!r}") from None
    return tuple(proxies)


def _table(tables: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _value(where, tables.get(name, {}), dict)
    return found


def _number(name: str, value: Any, least: float = 0.0) -> float:
    allowed = Number(least)
    if not allowed.allows(value) or math.isinf(value):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return float(value)


def _count(name: str, value: Any) -> int:
    allowed = Number(1, whole=True)
    if not allowed.allows(value):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return int(value)


def _value(name: str, value: object, kind: type[T]) -> T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        words = {bool: "true or false", list: "a list of addresses and networks", dict: "a table"}
        raise ValueError(f"{name} must be {words[kind]}, got {value!r}")
    return value
