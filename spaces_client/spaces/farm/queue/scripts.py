"""Loads the Lua scripts from `lua/`; each is prefixed with the lifetimes and the shared functions that it uses."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

from spaces.farm.demand import LATER, SOON
from spaces.farm.queue.counters.bounds import BOUNDS, HISTORY, HISTORY_BYTES, RETRYABLE
from spaces.farm.queue.keys import (
    COUNTED,
    DAY,
    EVENTS_KEPT,
    IDLE,
    LEARNED,
    REFUSED,
    RENEWAL,
    TAKES_SEVERAL,
    WAITING,
    WITHDRAWN,
    Keys,
)
from spaces.farm.size import Size
from spaces.farm.task import FAILURES

#: Files with shared functions, in the order in which they are prefixed.
_SHARED = ("counters", "quota", "lib")


#: Matches a comment, or a key in a script: its method in `Keys`, the arguments, and the end unless they have brackets.
_USE = re.compile(r"--.*|\bkeys\.(\w+)\(([^()]*)(\)?)")

_SIZES_IN_LUA = ", ".join(repr(str(size)) for size in Size)
_FAILURES_IN_LUA = ", ".join(f"['{state}'] = true" for state in FAILURES)

#: The start of a definition, or of a comment above one.
_BOUNDARY = re.compile(r"\n(?=local |--)")

#: The names that a definition defines: one function, or several constants.
_DEFINED = re.compile(r"local (function )?([\w, ]+)")

_COMMENT = re.compile(r"--.*")

#: Another script as the body of a function.
_INCLUDE = re.compile(r"include\('(\w+)'\)")


@cache
def source(name: str, keys: Keys, ended: int) -> str:
    """A script below the shared definitions that it uses; others are left out, because each run evaluates them anew."""
    folder = files("spaces.farm.queue") / "lua"
    shared = [constants_in_lua(ended), *((folder / "shared" / f"{part}.lua").read_text() for part in _SHARED)]
    text = _INCLUDE.sub(lambda use: (folder / f"{use[1]}.lua").read_text(), (folder / f"{name}.lua").read_text())
    for definition in reversed(_BOUNDARY.split("\n".join(shared))):
        if _is_used(definition, _COMMENT.sub("", text)):
            text = f"{definition}\n{text}"
    return in_lua(text, keys)


def _is_used(definition: str, code: str) -> bool:
    """Whether the code calls the function that is defined, or names one of the constants."""
    defined = _DEFINED.match(definition)
    if defined is None:
        return False
    use = r"(?<![\w.]){}\(" if defined[1] else r"\b{}\b"
    return any(re.search(use.format(name.strip()), code) for name in defined[2].split(","))


def in_lua(script: str, keys: Keys) -> str:
    """A script in which each `keys.task(id)` is replaced by the expression of its name.

    As Lua functions they would be created anew for each run of the script. Raises ValueError if an argument is more
    than a name or a value.
    """
    return _USE.sub(lambda use: _written_out(use, keys), script)


def _written_out(use: re.Match[str], keys: Keys) -> str:
    method, given, end = use.groups()
    if method is None:
        return use[0]
    if not end:
        raise ValueError(f"arguments of a key must be names or values, got {use[0]}(...). Assign it to a local first")
    arguments = [argument.strip() for argument in given.split(",") if argument]
    name = getattr(keys, method)(*(f"' .. {argument} .. '" for argument in arguments))
    return f"('{name}')".replace(" .. '')", ")")


def constants_in_lua(ended: int) -> str:
    """The lifetimes, sizes and half-lives, for the scripts; `ended` is the seconds for which an outcome can be read."""
    return f"""
local WAITING, ENDED, DAY, IDLE, EVENTS_KEPT = {WAITING}, {ended}, {DAY}, {IDLE}, {EVENTS_KEPT}
local LEARNED, REFUSED, WITHDRAWN, RENEWAL = {LEARNED}, {REFUSED}, {WITHDRAWN}, {RENEWAL}
local SOON, LATER = {SOON}, {LATER}
local TAKES_SEVERAL = '{TAKES_SEVERAL}'
local COUNTED, HISTORY, HISTORY_BYTES = {COUNTED}, {HISTORY}, {HISTORY_BYTES}
local RETRYABLE, FAILURES = {RETRYABLE}, {{ {_FAILURES_IN_LUA} }}
local BOUNDS = {{ {", ".join(map(str, BOUNDS))} }}
local SIZES = {{ {_SIZES_IN_LUA} }}
"""


class Scripts:
    """The scripts on one connection, called by their digest; a script unknown to the broker is loaded first.

    `ended` is the seconds for which they keep the outcome of a task.
    """

    def __init__(self, redis: Redis, keys: Keys, ended: int) -> None:
        self._redis = redis
        self._keys = keys
        self._ended = ended
        self._known: dict[str, Script] = {}

    def get(self, name: str) -> Script:
        """The script with this file name."""
        if name not in self._known:
            self._known[name] = self._redis.register_script(source(name, self._keys, self._ended))
        return self._known[name]

    def run(self, name: str, key: str, *arguments: str | bytes | int | float) -> Any:
        """Run a script in the slot of `key`. Any: the comment above each script describes its result."""
        script = self.get(name)
        try:
            return self._redis.evalsha(script.sha, 1, key, *arguments)
        except NoScriptError:
            return script(keys=[key], args=arguments)
