"""The operator's settings of a farm, in one file: `farm.toml` in the state directory, or `$ZEROFARM_CONFIG`.

    [rank]
    weight = 120          # see docs/ranking.md

    [limits]
    space_queue = 1000
    longest_wait = 3600

    [quota]
    enabled = true        # with [tiers.NAME] and [visitors]: see docs/quotas.md

    [home]                # see `settings_file/front_tables.py`
    hosts = ["farm.example.org"]

    [privacy]
    arguments = false

    [login]               # see `settings_file/login_table.py`
    issuer = "https://id.example.org"

    [isolation]
    level = "users"       # see docs/isolation.md

    [memory]
    sleep = "auto"        # "on", "off": see docs/memory.md

    [idle]
    after = 172800        # seconds without a use; inf: never

    [files]
    keep = 86400          # seconds for which pages keep files of visitors after a use; inf: for ever

    [spaces.NAME]         # see `settings_file/space_tables.py`
    max_gpus = 1

Every setting has a default. Every process of a farm, on every host, must be given the same file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from spaces import config
from spaces.errors import SpacesError
from spaces.farm.queue.keys import WAITING
from spaces.farm.queue.rules import IsolationRules, Rules, SpaceRules
from spaces.farm.queue.settings_file import front_tables, tiers
from spaces.farm.queue.settings_file.allowed import Allowed, Number, Paths, Words
from spaces.farm.queue.settings_file.front_tables import HomeRules, PrivacyRules
from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces.farm.queue.settings_file.places import line_of
from spaces.farm.queue.settings_file.space_tables import space_rules
from spaces.farm.queue.settings_file.tiers import QuotaRules

#: The settings file, instead of `farm.toml` in the state directory.
VARIABLE = "ZEROFARM_CONFIG"

#: The file's name in a state directory.
FILE = "farm.toml"

#: The levels of separation, the best first.
LEVELS = ("users", "namespaces", "none")

#: The keys of a table.
Keys: TypeAlias = Mapping[str, Allowed]

T = TypeVar("T")


class SettingsFault(SpacesError, ValueError):
    """The file cannot be used. The message names it, the key, the value, and what is allowed."""


RANK: Keys = {
    "weight": Number(0.0),
    "doubt": Number(0.0),
    "memory": Number(1, whole=True),
    "floor": Number(0.0),
    "cap": Number(0.0),
}
LIMITS: Keys = {
    "space_queue": Number(1),
    "farm_queue": Number(1),
    "longest_wait": Number(1.0),
    "payload_bytes": Number(1024),
    "outcome_lifetime": Number(1, WAITING, whole=True),
}
MEMORY: Keys = {
    "sleep": Words(("auto", "on", "off")),
    "share": Words(("farm", "group", "space")),
    "host_gb": Number(0.0),
    "pinned_gb": Number(0.0),
    "stand_in_gb": Number(0.001),
    "stand_in_gb_per_second": Number(0.001),
}
ISOLATION: Keys = {
    "level": Words(LEVELS),
    "hub_cache": Words(("own", "shared")),
    "first_uid": Number(1000, 2**31, whole=True),
    "uids": Number(1, whole=True),
    "memory": Number(0.01, 1.0),
    "processes": Number(16, whole=True),
    "cpus": Number(0.0),
    "readable": Paths(),
    "writable": Paths(),
}
IDLE: Keys = {"after": Number(1.0), "memory": Number(0.0, 1.0)}
FILES: Keys = {"keep": Number(1.0)}

_OTHERS = ("login", "spaces", *front_tables.TABLES, *tiers.TABLES)
_TABLES = ("rank", "limits", "isolation", "memory", "idle", "files", *_OTHERS)


def read(path: Path) -> Rules:
    """Read the rules from a settings file. Raises SettingsFault, which names the line."""
    try:
        text = path.read_text("utf-8")
        found = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsFault(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsFault(f"{path} is not TOML: {error}") from None
    try:
        return _rules(path, found)
    except SettingsFault as fault:
        message = str(fault).removeprefix(str(path)).removeprefix(":").strip()
        if (line := line_of(text, message)) is None:
            raise
        raise SettingsFault(f"{path}, line {line}: {message}") from None


def _rules(path: Path, found: Mapping[str, Any]) -> Rules:  # Any: parsed TOML
    _refuse_others(str(path), found, _TABLES)
    rules = Rules()
    rank = _filled(path, "rank", found, rules.rank, RANK)
    if rank.floor > rank.cap:
        raise SettingsFault(f"{path}: [rank] floor must be at most cap, got {rank.floor:g} and {rank.cap:g}")
    try:
        spaces = space_rules(found)
    except ValueError as error:
        raise SettingsFault(f"{path}: {error}") from None
    return replace(
        _of_visitors(path, found),
        rank=rank,
        limits=_filled(path, "limits", found, rules.limits, LIMITS),
        idle=_filled(path, "idle", found, rules.idle, IDLE),
        files=_filled(path, "files", found, rules.files, FILES),
        isolation=_isolation(path, found),
        memory=_filled(path, "memory", found, rules.memory, MEMORY),
        spaces=spaces,
    )


def _filled(path: Path, name: str, found: Mapping[str, Any], defaults: T, keys: Keys) -> T:
    """`defaults` with the values of a table of the file. Any: parsed TOML. Raises SettingsFault."""
    table = found.get(name, {})
    if not isinstance(table, dict):
        raise SettingsFault(f"{path}: {name} must be a table, [{name}], got {table!r}")
    _refuse_others(f"{path}: [{name}]", table, keys)
    for key, value in table.items():
        if not keys[key].allows(value):
            raise SettingsFault(f"{path}: [{name}] {key} must be {keys[key]}, got {value!r}")
    return replace(defaults, **table)  # type: ignore[type-var] # a dataclass


def _isolation(path: Path, found: Mapping[str, Any]) -> IsolationRules:  # Any: parsed TOML
    rules = _filled(path, "isolation", found, Rules().isolation, ISOLATION)
    return replace(rules, readable=_normal(rules.readable), writable=_normal(rules.writable))


def _normal(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(os.path.normpath, paths))


def _of_visitors(path: Path, found: Mapping[str, Any]) -> Rules:  # Any: whatever TOML has
    try:
        return Rules(
            quota=QuotaRules.from_tables(found),
            home=HomeRules.from_tables(found),
            privacy=PrivacyRules.from_tables(found),
            login=LoginRules.from_tables(found),
        )
    except ValueError as error:
        raise SettingsFault(f"{path}: {error}") from None


def current() -> Rules:
    """The rules of this process. Raises SettingsFault."""
    return _of_file(os.environ.get(VARIABLE, ""))


def share(state_dir: Path) -> None:
    """Let this process, and those that it starts, use the file of a state directory, if there is one.

    If `$ZEROFARM_CONFIG` names a file already, that is used instead. Raises SettingsFault for an unusable file.
    """
    path = state_dir / FILE
    if not os.environ.get(VARIABLE) and path.exists():
        os.environ[VARIABLE] = str(path.absolute())
    current()


def path() -> Path | None:
    """The settings file of this process: `$ZEROFARM_CONFIG`, else that of the farm that it belongs to, if any."""
    named, state_dir = os.environ.get(VARIABLE, ""), os.environ.get(config.STATE_DIR, "")
    if named:
        return Path(named)
    return Path(state_dir, FILE) if state_dir and Path(state_dir, FILE).exists() else None


def of_space(name: str) -> SpaceRules:
    """The rules of one Space that the file has now; while it has a mistake, those before. Raises SettingsFault."""
    return latest().spaces.get(name, SpaceRules())


def latest() -> Rules:
    """The rules that the file has now; while it has a mistake, those that it had before. Raises SettingsFault.

    Only what it says of single Spaces may change while a farm runs: for the rest, `current` is right.
    """
    file = path()
    stamp = _stamp(file)
    if file not in _latest or _latest[file][0] != stamp:
        try:
            _latest[file] = stamp, read(file) if file and stamp else Rules()
        except SettingsFault:
            if file not in _latest:
                raise
            _latest[file] = stamp, _latest[file][1]
    return _latest[file][1]


#: By file, its state when it was read last, and what it said when it had no mistake.
_latest: dict[Path | None, tuple[object, Rules]] = {}


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    try:
        state = file.stat() if file else None
    except OSError:
        return None
    return (state.st_mtime_ns, state.st_size, state.st_ino) if state else None


@cache
def _of_file(path: str) -> Rules:
    return read(Path(path)) if path else Rules()


def _refuse_others(where: str, found: Mapping[str, Any], known: Collection[str]) -> None:
    for key in found:
        if key not in known:
            raise SettingsFault(f"{where} has an unknown {key!r}; it may have {', '.join(known)}")
