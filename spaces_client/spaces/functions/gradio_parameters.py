"""Finds the parameters of a function that Gradio fills in itself, by Gradio's rules. Gradio is never imported here."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable
from types import UnionType
from typing import Any

from spaces.farm.values.glance import module_of, qualname_of

#: Gradio's classes of such parameters: of the default value, or of the annotation.
_BY_DEFAULT = frozenset({"Progress", "Cache"})
_BY_ANNOTATION = frozenset({"Request", "OAuthProfile", "OAuthToken", "Header", "EventData"})


def filled_by_gradio(function: Callable[..., Any], signature: inspect.Signature) -> frozenset[str]:
    """Names of the parameters for `gr.Progress`, `gr.Request`, `gr.EventData`, `gr.OAuthProfile` and the like."""
    if "gradio" not in sys.modules:
        return frozenset()
    hints = _hints(function)
    return frozenset(
        name
        for name, parameter in signature.parameters.items()
        if _is_of_gradio(type(parameter.default), _BY_DEFAULT) or _is_annotated(hints.get(name))
    )


def _hints(function: Any) -> dict[str, Any]:  # Any: a function, a partial, a callable object
    while isinstance(function, functools.partial):
        function = function.func
    try:
        return typing.get_type_hints(function if inspect.isroutine(function) else type(function).__call__)
    except Exception:  # an unknown name: Gradio finds no such parameter either
        return {}


def _is_annotated(hint: Any) -> bool:  # Any: whatever somebody annotates with
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return any(map(_is_annotated, typing.get_args(hint)))
    return isinstance(hint, type) and any(_is_of_gradio(each, _BY_ANNOTATION) for each in type.mro(hint))


def _is_of_gradio(cls: type, names: frozenset[str]) -> bool:
    return qualname_of(cls) in names and module_of(cls).partition(".")[0] == "gradio"
