"""Explains values that cannot be sent: names the argument, and the part of it that is to blame."""

from __future__ import annotations

import functools
import inspect
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

from spaces.errors import EncodingError
from spaces.farm.values.glance import a, glance, is_a, name_of, own_attributes, qualname_of
from spaces.farm.values.pickling import Unreadable, Unsendable

#: The most values that a search for the culprit visits; then it names the last one found.
DEEPEST = 12
PATIENCE = 1.0

Refusal = Callable[[object], EncodingError | None]

_KNOWN: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("a lock", (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event)),
    ("a thread", (threading.Thread,)),
    ("a generator", (GeneratorType, AsyncGeneratorType)),
    ("a coroutine", (CoroutineType,)),
    ("an open file", (io.IOBase,)),
    ("a socket", (socket.socket,)),
    ("a module", (ModuleType,)),
)


@dataclass(frozen=True, slots=True)
class Culprit:
    """The innermost value that cannot be sent."""

    value: object
    path: str  #: the path to it, as in code: `.scheduler.mutex`; empty: the value itself
    error: EncodingError

    @property
    def clause(self) -> str:
        """The fault, as a clause: "it holds a lock (_thread.lock at .scheduler.mutex)"."""
        verb = "holds" if self.path else "is"
        place = f" at {self.path}" if self.path else ""
        if what := _what(self.value):
            return f"it {verb} {what} ({name_of(self.value)}{place})"
        match self.error:
            case Unsendable(what=what, reason=reason):
                return f"it {verb} {what}{place} ({reason})"
        return f"it {verb} {a(name_of(self.value))}{place} ({self.error})"

    @property
    def found(self) -> bool:
        """Whether a deeper search is pointless."""
        return bool(_what(self.value)) or (isinstance(self.error, Unsendable) and self.error.culprit is self.value)

    @property
    def advice(self) -> str | None:
        """The remedy for this value, if it has its own."""
        return self.error.advice if isinstance(self.error, Unsendable) else None


def refused_argument(
    label: str,
    signature: inspect.Signature | None,
    call: tuple[tuple[object, ...], Mapping[str, object]],
    error: EncodingError,
    refusal: Refusal,
) -> str:
    """The message that names the argument of `label` that cannot be sent."""
    for name, value in _arguments(signature, *call):
        if refused := refusal(value):
            culprit = find_culprit(value, refused, refusal)
            advice = culprit.advice or "Create it at module level, or inside the function"
            return f"argument {name!r} of {label}() cannot be sent to a GPU worker: {culprit.clause}. {advice}"
    return f"the arguments of {label}() cannot be sent to a GPU worker: {error}"


def refused_result(label: str, verb: str, value: object, error: EncodingError, refusal: Refusal) -> str:
    """The message about a value that `label` returned or yielded."""
    culprit = find_culprit(value, error, refusal)
    advice = culprit.advice or "Give back plain data, arrays, images or files instead"
    return f"the value that {label}() {verb} cannot be sent back: {culprit.clause}. {advice}"


def find_culprit(value: object, error: EncodingError, refusal: Refusal) -> Culprit:
    """Search a refused value for the innermost value that is refused too."""
    give_up = time.monotonic() + PATIENCE
    culprit = Culprit(value, "", error)
    seen = {id(value)}
    for _depth in range(DEEPEST):
        if culprit.found:
            break
        for step, inner in _steps(culprit.value):
            if time.monotonic() > give_up:
                return culprit
            if id(inner) in seen:
                continue
            seen.add(id(inner))
            refused = refusal(inner)
            if refused and (isinstance(refused, Unreadable) or not isinstance(culprit.error, Unreadable)):
                culprit = Culprit(inner, culprit.path + step, refused)
                break
        else:
            return culprit
    return culprit


def _what(value: object) -> str:
    for what, types in _KNOWN:
        if is_a(value, types):
            return what
    if type(value) is FunctionType and "<lambda>" in name_of(value):
        return "a lambda"
    if type(value) is FunctionType and "<locals>" in name_of(value):
        return "a function defined inside another function"
    if is_a(value, type) and "<locals>" in qualname_of(value):
        return "a class defined inside a function"
    if "<locals>" in qualname_of(type(value)):
        return "an object of a class defined inside a function"
    return ""


def _steps(value: object) -> Iterator[tuple[str, object]]:
    """The parts of a value, as far as it lets us look: its own code may raise anything, here too."""
    with suppress(Exception):
        yield from _parts(value)


def _parts(value: Any) -> Iterator[tuple[str, object]]:  # Any: told by its type, for a proxy lies to `match`
    """The parts of a value, with the step that leads to each."""
    if is_a(value, (list, tuple, set, frozenset)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif is_a(value, dict):
        yield from ((f"[{glance(key)}]", item) for key, item in list(dict.items(value)))
        yield from ((f" key {glance(key)}", key) for key in list(dict.keys(value)))
    elif is_a(value, functools.partial):
        yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
    elif is_a(value, MethodType):
        yield ".__self__", value.__self__
    if not is_a(value, (type, FunctionType, MethodType, functools.partial)):
        yield from ((f".{name}", item) for name, item in list(own_attributes(value).items()))


def _arguments(
    signature: inspect.Signature | None, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    """The arguments by the function's own parameter names."""
    names = [f"{index + 1}" for index in range(len(args))]
    for index, parameter in enumerate(signature.parameters.values() if signature else ()):
        if parameter.kind is parameter.VAR_POSITIONAL:
            names[index:] = [f"{parameter.name}[{place}]" for place in range(len(args) - index)]
        elif parameter.kind is not parameter.KEYWORD_ONLY and index < len(args):
            names[index] = parameter.name
    yield from zip(names, args, strict=False)
    yield from kwargs.items()
