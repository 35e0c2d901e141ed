"""The seconds that one call requests, if its function's `duration` is a callable.

The callable gets the arguments of the call. It gets those that Gradio fills in itself (`gr.Progress`, `gr.Request`) if
it takes them: by their names, or because it has at least as many parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

from spaces.errors import DefinitionError
from spaces.functions.duration import Duration, seconds
from spaces.functions.gradio_parameters import filled_by_gradio

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_ANY_NUMBER = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def duration_of_call(
    duration: Duration, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> float:
    """The seconds that one call requests; the errors of a callable propagate.

    Raises DefinitionError for a callable that cannot be called with the arguments of the call.
    """
    if not callable(duration):
        return seconds(duration)
    taker = _taker(duration, function)
    if taker is None:
        return seconds(duration(*args, **kwargs))
    taken = taker.taken(_Call(tuple(args), dict(kwargs)))
    if taken is None:
        raise DefinitionError(taker.refusal(function))
    return seconds(duration(*taken.args, **taken.kwargs))


def check_duration_takes(duration: Duration, function: Callable[..., Any]) -> None:
    """Refuse a callable that cannot take the arguments of any call of the function. Raises DefinitionError."""
    taker = _taker(duration, function) if callable(duration) else None
    if taker is None or _takes_anything(inspect.signature(function, follow_wrapped=False)):
        return
    if not any(taker.taken(call) for call in _possible_calls(taker.of_function)):
        raise DefinitionError(taker.refusal(function))


@dataclass(frozen=True, slots=True)
class _Call:
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Taker:
    """A callable `duration` beside its function."""

    of_duration: Signature
    of_function: Signature
    filled: frozenset[str]  #: parameters of the function that Gradio fills in

    def taken(self, call: _Call) -> _Call | None:
        """The callable's part of a call's arguments; None if it cannot take them."""
        without = self._without_filled(call)
        forms = (without, call) if self._lands_elsewhere(call) else (call, without)
        return next((form for form in forms if _binds(self.of_duration, form)), None)

    def refusal(self, function: Callable[..., Any]) -> str:
        """The message of the error: the fault and the remedy."""
        name = getattr(function, "__name__", "the function")
        return (
            f"duration must take the arguments of {name}{_shown(self.of_function)}, got a callable that takes "
            f"{_shown(self.of_duration)}. Give it the same parameters; those that Gradio fills in may be left out"
        )

    def _without_filled(self, call: _Call) -> _Call:
        """The call, without arguments that Gradio filled in and the callable does not name."""
        left_out = self.filled - self.of_duration.parameters.keys()
        names = [*_positional(self.of_function)][: len(call.args)]
        names += [""] * (len(call.args) - len(names))
        args = tuple(value for name, value in zip(names, call.args, strict=True) if name not in left_out)
        return _Call(args, {name: value for name, value in call.kwargs.items() if name not in left_out})

    def _lands_elsewhere(self, call: _Call) -> bool:
        """Whether an argument that Gradio filled in would be bound to another parameter of the callable."""
        pairs = list(zip(_positional(self.of_function).keys(), _positional(self.of_duration).values(), strict=False))
        return any(
            name in self.filled and parameter.name != name and parameter.default is not Parameter.empty
            for name, parameter in pairs[: len(call.args)]
        )


def _taker(duration: Callable[..., Any], function: Callable[..., Any]) -> _Taker | None:
    """None if Python cannot find the parameters of one of them."""
    try:
        of_function = inspect.signature(function)
        return _Taker(inspect.signature(duration), of_function, filled_by_gradio(function, of_function))
    except (TypeError, ValueError):
        return None


def _possible_calls(signature: Signature) -> Iterator[_Call]:
    """The calls that a function accepts: from its required arguments up to all of them, by position and by keyword."""
    parameters = signature.parameters.values()
    required = [each for each in parameters if each.default is Parameter.empty]
    by_position = list(_positional(signature).values())
    options = {each.name: None for each in parameters if each.kind is Parameter.KEYWORD_ONLY}
    needed = {each.name: None for each in required if each.kind is Parameter.KEYWORD_ONLY}
    for count in range(sum(each.kind in _BY_POSITION for each in required), len(by_position) + 1):
        for keywords in (needed, options):
            yield _Call((None,) * count, keywords)
            yield _Call((), {each.name: None for each in by_position[:count]} | keywords)


def _takes_anything(signature: Signature) -> bool:
    """Whether the parameters, such as those of a wrapper, do not show the accepted calls."""
    return any(each.kind in _ANY_NUMBER for each in signature.parameters.values())


def _positional(signature: Signature) -> dict[str, Parameter]:
    return {name: each for name, each in signature.parameters.items() if each.kind in _BY_POSITION}


def _binds(signature: Signature, call: _Call) -> bool:
    try:
        signature.bind(*call.args, **call.kwargs)
    except TypeError:
        return False
    return True


def _shown(signature: Signature) -> str:
    """`(prompt, steps, *rest)`: only names, because defaults may be anything."""
    stars: dict[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
    names = (f"{stars.get(each.kind, '')}{each.name}" for each in signature.parameters.values())
    return f"({', '.join(names)})"
