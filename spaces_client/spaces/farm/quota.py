"""Fair shares: what each tier of visitors may have of the GPUs, who is in which, and what a visitor has used.

The farm's settings make `QuotaRules`; `queue.py` sends a visitor's terms along with each push, where the broker reserves
the expected seconds or refuses, and what is charged with each end, where it settles, in the script that ends the task.
Seconds are those that a worker held a GPU for the task, from its claim to its end; a whole GPU counts twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import msgpack

from spaces.errors import IllegalDuration, QuotaExceeded, SpacesError
from spaces.farm.events import Cancelled, Crashed, End, Failed, Lost, Succeeded, TimedOut
from spaces.farm.keys import Keys
from spaces.farm.scripts import Scripts
from spaces.farm.task import Size, Task

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

#: Seconds charged for each second that a task of a size holds its GPU, as on ZeroGPU.
RATES = {Size.LARGE: 1.0, Size.XLARGE: 2.0}

#: How a visitor's name begins, and the tier of those whom `[visitors]` does not name.
DEFAULT_TIERS = {"user": "user", "token": "user", "address": "anonymous", "space": "space"}

#: How a child ends that was killed for lack of memory, or went down with the farm's own processes.
_NOT_ITS_FAULT = ("was killed by SIGKILL", "died together with its zygote", "could not be made")
_NO_MEMORY = ("OutOfMemoryError", "MemoryError")


class QuotaFault(SpacesError, ValueError):
    """The settings of quotas cannot be read; the message names the table, the name and the value."""


@dataclass(frozen=True, slots=True)
class Tier:
    """What one kind of visitor may have; None is no limit."""

    name: str
    daily: float | None = None  #: seconds of a GPU in a day, which begins with the first task after the last one ended
    longest: float | None = None  #: seconds that one task may ask for
    parallel: int | None = None  #: tasks that wait or run at once


@dataclass(frozen=True, slots=True)
class QuotaRules:
    """The tables `[quota]`, `[tiers.*]` and `[visitors]` of the farm's settings."""

    enabled: bool = False
    half_life: float = 3600.0  #: seconds after which a second that was used counts half in the rank
    usage_weight: float = 1.0  #: seconds of rank for each second used
    trusted_proxies: tuple[str, ...] = ()  #: addresses and networks whose X-Forwarded-For is believed
    tiers: Mapping[str, Tier] = field(default_factory=dict)
    visitors: Mapping[str, str] = field(default_factory=dict)  #: tiers of visitors by their full names

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> QuotaRules:  # Any: parsed TOML
        """The rules in the parsed settings; other tables are left alone. Raises QuotaFault."""
        quota = _table(tables, "quota")
        tiers = {name: _tier(name, _table(_table(tables, "tiers"), name)) for name in _table(tables, "tiers")}
        _check_names("quota", quota, ("enabled", "half_life", "usage_weight", "trusted_proxies"))
        return cls(
            enabled=_value("quota.enabled", quota.get("enabled", False), bool),
            half_life=_seconds("quota.half_life", quota.get("half_life", cls().half_life)),
            usage_weight=_number("quota.usage_weight", quota.get("usage_weight", cls().usage_weight)),
            trusted_proxies=_proxies(quota.get("trusted_proxies", [])),
            tiers=tiers,
            visitors=dict(_visitors(_table(tables, "visitors"), tiers)),
        )

    def tier(self, visitor: str) -> Tier:
        """The tier that a visitor is in; without limits if the settings have no table for it."""
        name = self.visitors.get(visitor) or DEFAULT_TIERS[visitor.partition(":")[0]]
        return self.tiers.get(name) or Tier(name)

    def terms(self, task: Task) -> bytes:
        """What the broker must know to admit a task; empty if it counts for nobody.

        Raises IllegalDuration for one that asks for more than a task of its visitor may.
        """
        if not self.enabled or not task.visitor:
            return b""
        tier = self.tier(task.visitor)
        if tier.longest is not None and task.time_limit > tier.longest:
            raise _illegal(task.time_limit, tier.longest, "for one task")
        packed: bytes = msgpack.packb(
            {
                "visitor": task.visitor,
                "daily": -1 if tier.daily is None else tier.daily,
                "parallel": -1 if tier.parallel is None else tier.parallel,
                "rate": RATES[Size(task.size)],
                "half_life": self.half_life,
                "weight": self.usage_weight,
            }
        )
        return packed

    def refused(self, task: Task, why: Sequence[bytes]) -> QuotaExceeded:
        """The error for a task that the broker did not admit, from what it said."""
        tier = self.tier(task.visitor)
        kind = why[0].decode()
        requested, left, wait = map(float, why[1:])
        facts = f"({math.ceil(requested)}s requested vs. {math.floor(left)}s left)"
        match kind:
            case "never":
                return _illegal(requested, left, "in a day")
            case "used":
                return QuotaExceeded(
                    f"You have exceeded your {tier.name} ZeroGPU quota {facts}. Try again in {clock(wait)}."
                )
            case "reserved":
                return QuotaExceeded(
                    f"You have exceeded your {tier.name} ZeroGPU quota {facts}: the rest is allocated to your tasks that "
                    f"wait or run. Try again once some of them have completed, or in {clock(wait)}."
                )
            case "parallel":
                return QuotaExceeded(
                    f"You have too many ZeroGPU tasks: {tier.parallel} of {tier.parallel} of your {tier.name} quota wait "
                    "or run. Try again once one of them has completed."
                )
            case _:
                raise ValueError(f"the broker refused task {task.id} for a reason of another version: {kind!r}")


OFF = QuotaRules()


@dataclass(frozen=True, slots=True)
class Quota:
    """What a visitor has, at one moment. Seconds are those of a GPU; None is no limit."""

    tier: str
    limit: float | None  #: seconds a day
    used: float  #: seconds of the day that runs
    left: float | None  #: seconds that a task may still ask for: neither used nor reserved by tasks that wait or run
    resets_in: float  #: seconds until the day ends and nothing is used; 0 if none runs


@dataclass(frozen=True, slots=True)
class Standing:
    """A visitor, as operators see them."""

    visitor: str
    quota: Quota
    reserved: float  #: seconds that tasks which wait or run are expected to take
    tasks: int  #: that wait or run
    usage: float  #: seconds that count in the rank


class Ledger:
    """Reads what visitors have used."""

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts, rules: QuotaRules) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts
        self._rules = rules

    def standing(self, visitor: str) -> Standing:
        """One visitor now, also one who was never here."""
        reply = self._scripts.run("quota_read", self._keys.usage(visitor), visitor, self._rules.half_life)
        used, resets_in, reserved, tasks, usage = map(float, reply)
        tier = self._rules.tier(visitor)
        left = None if tier.daily is None else max(0.0, tier.daily - used - reserved)
        return Standing(visitor, Quota(tier.name, tier.daily, used, left, resets_in), reserved, int(tasks), usage)

    def all(self) -> list[Standing]:
        """Every visitor that the broker remembers, whoever used most first."""
        prefix = len(self._keys.usage(""))
        names = {key.decode()[prefix:] for key in self._redis.scan_iter(match=self._keys.usage("*"), count=1000)}
        return sorted(map(self.standing, names), key=lambda each: (-each.quota.used, each.visitor))


def is_charged(end: End) -> bool:
    """Whether a visitor pays for what the task held: not for the farm's failures, nor for lack of memory.

    A worker's own failures have no traceback, which what a function raised always has.
    """
    match end:
        case Succeeded() | TimedOut() | Cancelled():
            return True
        case Failed(type_name, traceback=traceback):
            return bool(traceback) and not type_name.endswith(_NO_MEMORY)
        case Crashed(reason):
            return reason not in _NOT_ITS_FAULT
        case Lost():
            return False
        case _:
            assert_never(end)


def clock(seconds: float) -> str:
    """H:MM:SS, rounded up: at that time there really is more."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def visitor_name(given: str) -> str:
    """A visitor as the settings and the command line name them: `ada` is short for `user:ada`."""
    kind, colon, _ = given.partition(":")
    return given if colon and kind in DEFAULT_TIERS else f"user:{given}"


def _illegal(requested: float, allowed: float, of_what: str) -> IllegalDuration:
    return IllegalDuration(
        f"The requested GPU duration ({math.ceil(requested)}s) is larger than the maximum allowed "
        f"({math.floor(allowed)}s {of_what})"
    )


def _tier(name: str, table: Mapping[str, Any]) -> Tier:
    _check_names(f"tiers.{name}", table, [each.name for each in fields(Tier)][1:])
    return Tier(
        name,
        daily=_number(f"tiers.{name}.daily", table["daily"]) if "daily" in table else None,
        longest=_seconds(f"tiers.{name}.longest", table["longest"]) if "longest" in table else None,
        parallel=_value(f"tiers.{name}.parallel", table["parallel"], int) if "parallel" in table else None,
    )


def _visitors(table: Mapping[str, Any], tiers: Mapping[str, Tier]) -> Iterable[tuple[str, str]]:
    for visitor, tier in table.items():
        if tier not in tiers:
            raise QuotaFault(f"visitors.{visitor} must be one of the tiers {', '.join(tiers) or '(none)'}, got {tier!r}")
        yield visitor_name(visitor), tier


def _proxies(given: object) -> tuple[str, ...]:
    from ipaddress import ip_network

    proxies = _value("quota.trusted_proxies", given, list)
    for proxy in proxies:
        try:
            ip_network(proxy, strict=False)
        except ValueError:
            raise QuotaFault(f"quota.trusted_proxies must be addresses or networks, got {proxy!r}") from None
    return tuple(proxies)


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _value(name, tables.get(name, {}), dict)
    return found


def _check_names(where: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in table:
        if name not in known:
            raise QuotaFault(f"[{where}] has no setting {name!r}; it may have {', '.join(known)}")


def _seconds(name: str, value: object) -> float:
    number = _number(name, value)
    if number <= 0:
        raise QuotaFault(f"{name} must be a positive number of seconds, got {value!r}")
    return number


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value >= 0 and math.isfinite(value)):
        raise QuotaFault(f"{name} must be a number of at least 0, got {value!r}")
    return float(value)


def _value(name: str, value: object, kind: type[T]) -> T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        words = {bool: "true or false", int: "a whole number", list: "a list", dict: "a table"}
        raise QuotaFault(f"{name} must be {words[kind]}, got {value!r}")
    return value
