"""The globals of a Space that concern more than one process: their places and the functions that read them.

Made when the script launches, in the web process and in the zygote, so that both use the same names for the same
objects.
"""

from __future__ import annotations

from abc import ABC
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import ModuleType
from typing import Any, Final, Generic, Protocol

from spaces.farm.values.glance import is_a, own_attributes
from spaces.state.code import MOST_ITEMS, Piece, SpaceCode
from spaces.state.marks import Marks

#: The depth below a global down to which attributes of the Space's objects are watched: `AGENTS["a"].tool` is two.
STEPS = 2


#: Base classes that store nothing in an object.
_NEUTRAL = frozenset({object, ABC, Generic, Protocol})

#: Functions that read attributes by names that are known only at run time.
_READ_ANY_ATTRIBUTE = frozenset({"vars", "getattr", "__dict__", "asdict", "astuple"})


class Missing(Enum):
    """The value of a name that does not exist (yet)."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Slot:
    """A name in a module, or an attribute of an object or class of the Space."""

    module: str
    path: str  #: of the object below its module: `state`, `AGENTS['a']`; empty for the module itself
    name: str

    def __str__(self) -> str:
        module = "" if self.module == "__main__" else self.module
        return ".".join(filter(None, (module, self.path, self.name)))


@dataclass(frozen=True, slots=True, eq=False)
class Namespace:
    """A holder of slots: a module, a class, or an object with attributes."""

    module: str
    root: str  #: the global that it is, or that leads to it; empty for a module
    path: str
    owner: object
    names: frozenset[str] | None  #: the watched names; None: all

    def items(self) -> Iterator[tuple[str, object]]:
        """The watched names with their current values."""
        held = own_attributes(self.owner)
        if self.names is None:
            return ((name, value) for name, value in list(held.items()) if not name.startswith("__"))
        if self.root:  # `names` has all attributes that the code mentions; this object has few of them
            return ((name, value) for name, value in list(held.items()) if name in self.names)
        return ((name, held.get(name, MISSING)) for name in self.names)

    def slot(self, name: str) -> Slot:
        """The slot of a name, as other processes refer to it."""
        return Slot(self.module, self.path, name)

    def get(self, name: str) -> object:
        """The current value of a name, or MISSING."""
        return own_attributes(self.owner).get(name, MISSING)

    def put(self, name: str, value: object) -> None:
        """Set a name to `value`, or delete it if that is MISSING."""
        if is_a(self.owner, type):
            type.__delattr__(self.owner, name) if value is MISSING else type.__setattr__(self.owner, name, value)
        elif value is MISSING:
            own_attributes(self.owner).pop(name, None)
        else:
            own_attributes(self.owner)[name] = value


class SpaceGlobals:
    """A Space's globals in this process, classified by its code.

    `sent` has those that GPU functions may read: globals that their code mentions, and attributes of the Space's own
    objects, which reach them in many ways, if their code mentions the attribute. `missed` has those that functions of
    the web process read and GPU functions may change.
    """

    def __init__(self, modules: Sequence[ModuleType], functions: Iterable[Callable[..., object]]) -> None:
        self._modules = {module.__name__: module for module in modules}
        code = SpaceCode(modules)
        self._gpu = _in_order(code.reached_from(functions))
        self._gpu_readers = _readers(code, self._gpu)
        self._web_readers = _readers(code, (each for each in code.pieces if each.is_function and each not in self._gpu))
        self._gpu_writes = {name for piece in self._gpu for name in code.writes(piece)}
        attributes = _attributes(self._gpu)
        self.sent = [replace(each, names=attributes) for each in self._objects()]
        placed = {id(each.owner) for each in self.sent}
        self.missed = self._read_in_web()
        self.sent += self._of_modules(self._gpu_readers.keys())
        self.marks = Marks(self._is_own, placed)

    def gpu_reader(self, slot: Slot) -> str:
        """The label of a function that reads the slot on the GPU."""
        pieces = self._gpu_readers[slot.module, slot.name] if not slot.path else self._gpu
        return _label([piece for piece in pieces if slot.name in piece.read_names] or pieces)

    def web_reader(self, slot: Slot) -> str:
        """The label of a function that reads the slot in the web process."""
        pieces = self._web_readers[slot.module, _root(slot)]
        return _label([piece for piece in pieces if slot.name in piece.read_names] or pieces)

    def _read_in_web(self) -> list[Namespace]:
        """Globals that both sides mention, and mentioned attributes below globals that the web process mentions."""
        found = self._of_modules((self._gpu_readers.keys() | self._gpu_writes) & self._web_readers.keys())
        for each in self.sent:
            pieces = self._web_readers.get((each.module, each.root), ())
            names = frozenset(name for piece in pieces for name in piece.read_names)
            found.append(replace(each, names=names if each.names is None else names & each.names))
        return [each for each in found if each.names]

    def _of_modules(self, names: Iterable[tuple[str, str]]) -> list[Namespace]:
        wanted: dict[str, set[str]] = defaultdict(set)
        for module, name in names:
            wanted[module].add(name)
        return [Namespace(each, "", "", self._modules[each], frozenset(wanted[each])) for each in sorted(wanted)]

    def _objects(self) -> list[Namespace]:
        """All objects with attributes at module level that the Space defined."""
        found: dict[int, Namespace] = {}
        for module in self._modules.values():
            for name, value in sorted(vars(module).items()):
                if not name.startswith("__"):
                    self._look_below(Namespace(module.__name__, name, name, value, None), STEPS, found)
        return list(found.values())

    def _look_below(self, place: Namespace, steps: int, found: dict[int, Namespace]) -> None:
        """Collect an object of the Space, and those that it or a container holds."""
        if id(place.owner) in found:
            return
        if is_a(place.owner, type):
            if self._is_own(place.owner):
                found[id(place.owner)] = place
        elif self._is_own(type(place.owner)):
            found[id(place.owner)] = place
            for name, value in list(own_attributes(place.owner).items()) if steps else ():
                self._look_below(replace(place, path=f"{place.path}.{name}", owner=value), steps - 1, found)
        elif steps:
            for key, value in _items(place.owner):
                self._look_below(replace(place, path=f"{place.path}[{key!r}]", owner=value), steps - 1, found)

    def _is_own(self, cls: type) -> bool:
        """Whether the Space defined a class and all its bases: the content of a library's objects is unknown."""
        if cls.__module__ not in self._modules or issubclass(cls, Enum):
            return False
        return all(each.__module__ in self._modules or each in _NEUTRAL for each in type.mro(cls))


def _in_order(pieces: Iterable[Piece]) -> dict[Piece, None]:
    """The pieces as an ordered set, in the order of the scripts' lines."""
    return dict.fromkeys(sorted(pieces, key=lambda piece: (piece.module, piece.code.co_firstlineno)))


def _readers(code: SpaceCode, pieces: Iterable[Piece]) -> dict[tuple[str, str], list[Piece]]:
    found: dict[tuple[str, str], list[Piece]] = defaultdict(list)
    for piece in pieces:
        for read in code.reads(piece):
            found[read].append(piece)
    return dict(found)


def _attributes(pieces: Iterable[Piece]) -> frozenset[str] | None:
    """Attributes that the code may read or change; None: any."""
    names = frozenset(name for piece in pieces for name in piece.names)
    return None if names & _READ_ANY_ATTRIBUTE else names


def _label(pieces: Iterable[Piece]) -> str:
    functions = [piece for piece in pieces if piece.is_function]
    return functions[0].label if functions else "other code"


def _root(slot: Slot) -> str:
    """The global that leads to a slot."""
    return slot.path.partition(".")[0].partition("[")[0] or slot.name


def _items(value: Any) -> Iterator[tuple[object, object]]:  # Any: told by its exact type, for a proxy lies about it
    if type(value) not in (list, tuple, dict) or len(value) > MOST_ITEMS:
        return iter(())
    items = list(value.items()) if type(value) is dict else list(enumerate(value))
    return ((key, item) for key, item in items if type(key) in (str, int))
