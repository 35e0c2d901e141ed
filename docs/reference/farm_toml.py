"""Makes the reference of `farm.toml`: keys and values from the reader's refusals, the rest from the rules it fills."""

from __future__ import annotations

import inspect
import math
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from docs.reference.comments import named_in, sentence
from spaces.farm.queue import settings
from spaces.farm.queue.rules import Rules, SpaceRules
from spaces.farm.queue.settings import SettingsFault
from spaces.farm.queue.settings_file.tiers import Tier

INTRODUCTION = """\
# farm.toml

An optional file in the state directory; `$ZEROFARM_CONFIG` names another one. This page is made from the code that
reads it, by `make reference`. A key or a value that is not allowed is refused with its line. `zerofarm doctor` checks
the file. Tables of Spaces hold when the file is saved, all others from the next start of the farm:
[operating.md](../operating.md#the-same-in-a-file).
"""

#: The document that says more of a table.
MORE = {
    "spaces.NAME": "[operating.md](../operating.md#the-same-in-a-file)",
    "limits": "[ranking.md](../ranking.md)",
    "rank": "[ranking.md](../ranking.md)",
    "quota": "[quotas.md](../quotas.md)",
    "tiers.NAME": "[quotas.md](../quotas.md)",
    "visitors": "[quotas.md](../quotas.md#how-a-visitor-is-identified)",
    "isolation": "[isolation.md](../isolation.md)",
    "memory": "[memory.md](../memory.md)",
    "files": "[operating.md](../operating.md#files-of-visitors)",
    "login": "[operating.md](../operating.md#login-by-openid-connect)",
}

#: Tables that stand for several, whose rules are no field of `Rules`.
SEVERAL: Mapping[str, tuple[str, type]] = {"spaces": ("spaces.NAME", SpaceRules), "tiers": ("tiers.NAME", Tier)}


def farm_toml() -> str:
    """The page."""
    return "\n".join([INTRODUCTION, *(_table(name) for name in _allowed(""))]).rstrip()


def _table(name: str) -> str:
    shown, rules = SEVERAL[name] if name in SEVERAL else (name, _rules_of(name))
    more = f" More: {MORE[shown]}." if shown in MORE else ""
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    rows = (_row(shown, rules, key) for key in _allowed(shown)) if rules else [_of_visitor(shown)]
    return "\n".join([f"## [{shown}]", "", _introduction(rules) + more, "", *head, *rows, ""])


def _introduction(rules: type | None) -> str:
    told = (inspect.getdoc(rules) or "").splitlines()[0] if rules else "The tiers of single visitors, by name."
    return told.partition(": see ")[0].removesuffix(".") + "."


def _row(table: str, rules: type, key: str) -> str:
    path = Path(inspect.getsourcefile(rules) or "")
    meanings = {each.name: each.meaning for each in named_in(path) if each.owner == rules.__name__}
    cells = [f"`{key}`", _value(table, key), _default(rules, key), sentence(meanings[key])]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _of_visitor(table: str) -> str:
    return f"| `VISITOR` | {_value(table, 'VISITOR')} | | The tier of this visitor. |"


def _rules_of(table: str) -> type | None:
    """The class of the rules that a table fills; None for the list of visitors."""
    rules = getattr(Rules(), table, None)
    return None if rules is None else type(rules)


def _default(rules: type, key: str) -> str:
    """As TOML has it; nothing where there is no default."""
    default = next(each.default for each in fields(rules) if each.name == key)
    match default:
        case bool():
            return f"`{str(default).lower()}`"
        case float() if not math.isinf(default):
            return f"`{default:g}`" if default < 1e5 else f"`{default:.0f}`"
        case int() | float():
            return f"`{default}`"
        case str() if default:
            return f'`"{default}"`'
        case _:
            return ""


def _allowed(table: str) -> list[str]:
    """The tables of the file, or the keys of a table."""
    told = _refusal(f"[{table}]\nno-such-key = 1" if table else "no-such-table = 1")
    return told.partition("; it may have ")[2].split(", ")


def _value(table: str, key: str) -> str:
    """The allowed values, in the words with which a date is refused: no key takes one."""
    told = _refusal(f"[{table}]\n{key} = 1979-05-27")
    return told.partition(" must be ")[2].partition(", got ")[0]


def _refusal(text: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        try:
            settings.read(Path(file.name))
        except SettingsFault as fault:
            return str(fault)
    raise AssertionError(f"this was not refused: {text}")
