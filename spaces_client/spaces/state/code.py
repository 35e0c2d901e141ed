"""Finds, by reading a Space's code, the functions that can run on the GPU and the globals that each of them uses.

Nothing is executed. If the meaning of a name is uncertain, everything that it could mean counts as reached.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from spaces.farm.values.glance import is_a

#: Containers with more items than this hold data, not functions.
MOST_ITEMS = 256

#: Functions that read globals by names that are known only at run time.
_READ_ANYTHING = frozenset({"globals", "vars", "eval", "exec"})


@dataclass(frozen=True, slots=True)
class Piece:
    """The code of one function, or the body of a class or a module."""

    module: str
    code: CodeType

    @property
    def is_function(self) -> bool:
        """Whether it is a function, not the body of a class or a module."""
        return bool(self.code.co_flags & inspect.CO_OPTIMIZED)

    @property
    def label(self) -> str:
        """Its name in messages: `generate()`, `Agent.step()`, `a lambda in line 12`."""
        name = self.code.co_qualname.partition(".<")[0]
        return f"a lambda in line {self.code.co_firstlineno}" if name.startswith("<") else f"{name}()"

    @property
    def names(self) -> tuple[str, ...]:
        """Every global and attribute that it mentions."""
        return self.code.co_names

    @property
    def read_names(self) -> frozenset[str]:
        """The names that it reads."""
        return frozenset(self.names) - _only(self.code, _WRITES)

    @property
    def inner(self) -> Iterator[Piece]:
        """The pieces that are defined directly inside it."""
        return (Piece(self.module, each) for each in self.code.co_consts if isinstance(each, CodeType))

    @property
    def methods(self) -> Iterator[Piece]:
        """The methods in a class's body; none for other pieces."""
        return iter(()) if self.is_function or self.code.co_name == "<module>" else self.inner


class SpaceCode:
    """The code of a Space's own modules."""

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        self._modules = {module.__name__: module for module in modules}
        self.pieces = [piece for module in self._modules.values() for piece in _all_of(_body(module))]
        self._bodies = {(each.module, each.code.co_qualname): each for each in self.pieces if not each.is_function}
        self._read = {(each.module, each.code.co_qualname, each.code.co_firstlineno): each for each in self.pieces}
        self._by_attribute = self._reachable_by_attribute()

    def reached_from(self, functions: Iterable[Callable[..., object]]) -> set[Piece]:
        """The pieces that may run when one of the functions is called."""
        reached: set[Piece] = set()
        open_ends = [piece for function in functions for piece in self._behind(function)]
        while open_ends:
            piece = open_ends.pop()
            if piece not in reached:
                reached.add(piece)
                open_ends.extend(self._next(piece))
        return reached

    def reads(self, piece: Piece) -> set[tuple[str, str]]:
        """The globals that a piece reads, as (module, name)."""
        names = _globals_in(piece.code) & piece.read_names
        if names & _READ_ANYTHING:
            names = names | self._scope(piece).keys()
        read = {(piece.module, name) for name in names if name in self._scope(piece) or not hasattr(builtins, name)}
        return read | self._in_modules(piece, piece.read_names)

    def writes(self, piece: Piece) -> set[tuple[str, str]]:
        """The globals that a piece assigns without reading them."""
        names = frozenset(piece.names) - piece.read_names
        written = {(piece.module, name) for name in names & _globals_in(piece.code)}
        return written | self._in_modules(piece, names)

    def _next(self, piece: Piece) -> Iterator[Piece]:
        yield from piece.inner
        for name in piece.names:
            yield from self._by_attribute.get(name, ())
        for name in _globals_in(piece.code):
            yield from self._behind(self._scope(piece).get(name))

    def _scope(self, piece: Piece) -> Mapping[str, object]:
        return vars(self._modules[piece.module])

    def _in_modules(self, piece: Piece, names: frozenset[str]) -> set[tuple[str, str]]:
        """Globals of the Space's modules that a piece mentions, such as `settings.STEPS`."""
        return {(own, name) for own in self._modules_in(piece) for name in names & vars(self._modules[own]).keys()}

    def _modules_in(self, piece: Piece) -> Iterator[str]:
        scope = self._scope(piece)
        for name in piece.names:
            found = scope.get(name)
            imported = found.__name__ if is_a(found, ModuleType) else name
            if imported in self._modules:
                yield imported

    def _behind(self, value: Any, *, inside: bool = False) -> Iterator[Piece]:  # Any: told by its exact type
        """The Space's code that may run when `value` is used."""
        cls = type(value)
        if cls is functools.partial:
            yield from self._behind(value.func)
        elif cls is MethodType:
            yield from self._behind(value.__func__)
        elif cls in (list, tuple, dict) and not inside and len(value) <= MOST_ITEMS:
            for item in list(value.values() if cls is dict else value):
                yield from self._behind(item, inside=True)
        elif cls is FunctionType and (function := _unwrapped(value)).__globals__.get("__name__") in self._modules:
            yield self._piece_of(Piece(str(function.__globals__["__name__"]), function.__code__))
            for cell in function.__closure__ or ():
                yield from self._behind(_content(cell), inside=True)
        else:
            yield from self._class_behind(value if issubclass(cls, type) else cls)

    def _piece_of(self, live: Piece) -> Piece:
        """The piece as it was read from its file: the code of a live function may differ from it in a flag."""
        return self._read.get((live.module, live.code.co_qualname, live.code.co_firstlineno), live)

    def _class_behind(self, cls: type) -> Iterator[Piece]:
        for each in type.mro(cls):
            piece = self._bodies.get((each.__module__, each.__qualname__))
            if piece is not None:
                yield piece

    def _reachable_by_attribute(self) -> dict[str, list[Piece]]:
        """Methods of any class and functions of any module but the script: `anything.name` may mean any of them."""
        found: dict[str, list[Piece]] = defaultdict(list)
        for piece in self.pieces:
            is_module = piece.code.co_name == "<module>"
            for each in piece.inner if is_module and piece.module != "__main__" else piece.methods:
                found[each.code.co_name].append(each)
        return found


_GLOBAL_WRITES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_GLOBALS = _GLOBAL_WRITES | {"LOAD_GLOBAL", "LOAD_NAME"}
_WRITES = _GLOBAL_WRITES | {"STORE_ATTR", "DELETE_ATTR"}


@functools.lru_cache(maxsize=4096)
def _operations(code: CodeType) -> Mapping[str, frozenset[str]]:
    """The instructions that the code applies to each name."""
    found: dict[str, set[str]] = {name: set() for name in code.co_names}
    for each in dis.get_instructions(code):
        if isinstance(each.argval, str) and each.argval in found and "FAST" not in each.opname:
            found[each.argval].add(each.opname)
    return {name: frozenset(operations) for name, operations in found.items()}


def _globals_in(code: CodeType) -> frozenset[str]:
    """Names that the code reads from, or writes to, its module."""
    return frozenset(name for name, operations in _operations(code).items() if operations & _GLOBALS)


def _only(code: CodeType, operations: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name, found in _operations(code).items() if found and found <= operations)


def _all_of(piece: Piece | None) -> Iterator[Piece]:
    if piece is not None:
        yield piece
        for each in piece.inner:
            yield from _all_of(each)


def _body(module: ModuleType) -> Piece | None:
    """A module's code, from its cache or its file; None if neither can be read."""
    try:
        loader = getattr(module.__spec__, "loader", None)
        if loader is not None:
            code = loader.get_code(module.__name__)
        else:
            path = str(module.__file__)
            with open(path, "rb") as file:
                code = compile(file.read(), path, "exec", dont_inherit=True)
    except (AttributeError, ImportError, OSError, SyntaxError, ValueError):
        return None
    return Piece(module.__name__, code) if isinstance(code, CodeType) else None


def _unwrapped(function: FunctionType) -> FunctionType:
    try:
        found = inspect.unwrap(function)
    except ValueError:  # it wraps itself
        return function
    return found if isinstance(found, FunctionType) else function


def _content(cell: object) -> object:
    try:
        return cell.cell_contents  # type: ignore[attr-defined] # it is a cell
    except ValueError:  # empty
        return None
