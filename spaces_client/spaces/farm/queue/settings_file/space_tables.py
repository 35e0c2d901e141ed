"""Reads `[spaces.NAME]` of `farm.toml`.

[spaces.painter]
source = "https://github.com/ada/painter@v2"   # a path, a git URL, or hf:OWNER/NAME
env = { GREETING = "hello" }
secrets = "painter.secrets"  # a file that only the farm's user can read, with lines of NAME=value
max_gpus = 1                 # tasks that run at once
size = "xlarge"              # of the GPU for its functions that name none
priority = 60                # seconds of waiting that its tasks are given ahead
idle_after = inf             # seconds without a use; inf: never
pin = true                   # it keeps its place on the GPU: see docs/memory.md
group = "studio"             # Spaces of one group do not evict each other: see docs/memory.md
fork = false                 # each child runs the script itself
preload = false              # it imports its libraries itself
root_path = "/painter"       # a reverse proxy shows its page there
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

from spaces.farm.queue.control.controls import MOST_PRIORITY
from spaces.farm.queue.rules import SpaceRules
from spaces.farm.queue.settings_file.allowed import Number
from spaces.farm.size import Size
from spaces.withheld_variables import SECRETS

#: Names of Spaces, which are those of folders, hosts and paths.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"(/[\w.~-]+)+", re.ASCII)

#: Variables that the farm sets for its own ends begin so.
_OURS = ("ZEROFARM_", "GRADIO_SERVER_", "GRADIO_ROOT_PATH")


def space_rules(tables: Mapping[str, Any]) -> dict[str, SpaceRules]:  # Any, here and below: parsed TOML
    """The settings of all Spaces. Raises ValueError, which names table, key, value and remedy."""
    found = tables.get("spaces", {})
    if not isinstance(found, dict):
        raise ValueError(f"spaces must be tables, [spaces.NAME], got {found!r}")
    return {name: _space(name, table) for name, table in found.items()}


def _space(name: str, table: object) -> SpaceRules:
    where = f"[spaces.{name}]"
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a table, got {table!r}")
    for key, value in table.items():
        if key not in _CHECKS:
            raise ValueError(f"{where} has an unknown {key!r}; it may have {', '.join(_CHECKS)}{_meant(key)}")
        if problem := _CHECKS[key](value):
            raise ValueError(f"{where} {key} must be {problem}, got {value!r}")
    if "source" in table and not _NAME.fullmatch(name):
        raise ValueError(f"{where} source must belong to a name of small letters, digits and dashes, got {name!r}")
    return SpaceRules(**table)


def _meant(key: str) -> str:
    if key == "tier":
        return '. Tiers belong to visitors; for calls without one, write "space:NAME" = "TIER" under [visitors]'
    close = difflib.get_close_matches(key, _CHECKS, 1)
    return f". Did you mean {close[0]}?" if close else ""


def _switch(value: object) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _text(value: object) -> str:
    return "" if isinstance(value, str) and value else "a text"


def _root_path(value: object) -> str:
    fits = isinstance(value, str) and _PATH.fullmatch(value)
    return "" if fits else 'a path such as "/digits", without a last /'


def _seconds(value: object) -> str:
    allowed = Number(1)
    return "" if allowed.allows(value) else str(allowed)


def _gpus(value: object) -> str:
    allowed = Number(1, whole=True)
    return "" if allowed.allows(value) else f"{allowed}; to stop a Space, `zerofarm pause` it"


def _priority(value: object) -> str:
    fits = Number(-MOST_PRIORITY, MOST_PRIORITY).allows(value)
    return "" if fits else f"seconds from -{MOST_PRIORITY:g} to {MOST_PRIORITY:g}"


def _size(value: object) -> str:
    fits = isinstance(value, str) and value in set(Size)
    return "" if fits else " or ".join(f'"{size}"' for size in Size)


def _variables(value: object) -> str:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        return 'a table of texts, such as { GREETING = "hello" }'
    for name in value:
        if problem := of_variable(name):
            return problem
    return ""


def of_variable(name: str) -> str:
    """The words that follow "must be" in an error; empty if a variable of a Space may have this name."""
    if not _VARIABLE.fullmatch(name):
        return f"variables of letters, digits and _, without {name!r}"
    if name in SECRETS or name.startswith(_OURS):
        return f"variables of the Space, without {name}, which the farm itself sets"
    return ""


_CHECKS: Mapping[str, Callable[[object], str]] = {
    "source": _text,
    "env": _variables,
    "secrets": _text,
    "max_gpus": _gpus,
    "priority": _priority,
    "size": _size,
    "idle_after": _seconds,
    "pin": _switch,
    "group": _text,
    "fork": _switch,
    "preload": _switch,
    "root_path": _root_path,
}
