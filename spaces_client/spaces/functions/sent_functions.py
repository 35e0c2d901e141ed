"""Functions that a Space decorates after its launch, inside a handler. No other process has them, so they are sent.

    def answer(text):
        @spaces.GPU
        def run():
            return pipe(text)

        return run()

A function that can be imported is sent by name; a function made inside another one is sent as code and closure.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CellType, FunctionType
from typing import Any

from spaces.functions.function import gpu_function_of


@dataclass(frozen=True, slots=True)
class Carried:
    """A function to send. The codec has no form for it, so it is sent as a signed pickle."""

    parts: Any  # Any: `_Code`, or any callable that can be pickled

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Carried:
        """Take a function apart."""
        return cls(_apart(function))

    @property
    def function(self) -> Callable[..., Any]:
        """Rebuild the function on the globals of this process."""
        made: Callable[..., Any] = _together(self.parts)
        return made


@dataclass(frozen=True, slots=True)
class _Itself:
    """Stands for the function itself in its closure."""


@dataclass(frozen=True, slots=True)
class _Code:
    module: str
    code: bytes
    defaults: tuple[Any, ...] | None  # Any: the values that a Space gave
    keyword_defaults: dict[str, Any] | None
    cells: tuple[Any, ...]


def _apart(value: Any) -> Any:
    if not isinstance(value, FunctionType) or not _is_local(value):
        return value
    cells = [_undecorated(cell.cell_contents) for cell in value.__closure__ or ()]
    return _Code(
        str(value.__globals__["__name__"]),
        marshal.dumps(value.__code__),
        value.__defaults__,
        value.__kwdefaults__,
        tuple(_Itself() if content is value else _apart(content) for content in cells),
    )


def _undecorated(value: Any) -> Any:
    """The function behind a wrapper of `@spaces.GPU`; in a worker a call is a plain call."""
    is_face = isinstance(value, FunctionType) and gpu_function_of(value) and _is_local(value)
    return value.__wrapped__ if is_face else value


def _together(parts: Any) -> Any:
    if not isinstance(parts, _Code):
        return parts
    cells = tuple(CellType() for _ in parts.cells)
    namespace = vars(sys.modules[parts.module])
    made = FunctionType(marshal.loads(parts.code), namespace, argdefs=parts.defaults, closure=cells)
    made.__kwdefaults__ = parts.keyword_defaults
    for cell, content in zip(cells, parts.cells, strict=True):
        cell.cell_contents = made if isinstance(content, _Itself) else _together(content)
    return made


def _is_local(function: FunctionType) -> bool:
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is not function
