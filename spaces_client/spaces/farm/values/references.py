"""Sends objects at module level of a Space by name instead of by value.

A pipeline or a tokenizer exists in every process of its Space, because each has run the Space's script; sending one by
value would be slow, and wrong once it is on a GPU. So the codec asks here for an object's name, and the other side
looks it up at the same place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from spaces.errors import EncodingError
from spaces.farm.values.codec_types import extension_of
from spaces.farm.values.glance import module_of, own_attributes, qualname_of
from spaces.farm.values.preloaded_modules import modules_since

#: The most steps from a module's global to an object: `MODELS["small"].tokenizer` takes two.
STEPS = 2
#: Lists and dicts with more items hold data, not a few models.
MOST_ITEMS = 256

#: One step: ("attribute", name) or ("item", key).
Step = tuple[str, str | int]

_BY_VALUE = (str, bytes, bytearray, int, float, complex, tuple, list, dict, set, frozenset, Enum, type(None))
_BY_NAME = (type, ModuleType, BuiltinFunctionType, MethodType)


@dataclass(frozen=True, slots=True)
class Reference:
    """The place of an object, and its type."""

    module: str
    name: str
    steps: tuple[Step, ...]
    type_name: str

    def __str__(self) -> str:
        steps = (f".{key}" if kind == "attribute" else f"[{key!r}]" for kind, key in self.steps)
        return f"{self.module}.{self.name}{''.join(steps)}"


class References:
    """The objects that the modules of a Space hold.

    Until `freeze`, `modules` is searched again whenever an object is not found, because scripts import and assign more.
    """

    def __init__(self, modules: Callable[[], Iterable[ModuleType]]) -> None:
        self._modules = modules
        self._index: dict[int, Reference] = {}
        self._seen: dict[str, ModuleType] = {}
        self._frozen = False

    def freeze(self) -> None:
        """Stop the search for new objects, at the launch: later objects exist in this process alone and go by value."""
        self._look_around()
        self._frozen = True

    def finder(self) -> Callable[[object], Reference | None]:
        """A function that finds references for one value that is being encoded. It searches modules at most once."""
        fresh = self._frozen

        def find(value: object) -> Reference | None:
            nonlocal fresh
            if not may_be_referred_to(value):
                return None
            found = self._known(value)
            if found is None and not fresh:
                self._look_around()
                fresh = True
                found = self._known(value)
            return found

        return find

    def resolve(self, reference: Reference) -> Any:  # any: the object at that place
        """The object in this process. Raises EncodingError if it is missing, or has another type than at the sender.

        It returns only objects that could have been sent, and runs no code of the Space, because the name comes from
        the network.
        """
        if reference.module not in self._seen:
            self._seen = {module.__name__: module for module in self._modules()}
        try:
            value = _follow(self._seen[reference.module], reference)
        except (LookupError, TypeError):
            raise EncodingError(
                f"{reference} does not exist in this process. Objects that are sent by name must be created while the "
                "Space's modules are imported, under the same name in every process"
            ) from None
        if _type_name(value) != reference.type_name or not may_be_referred_to(value):
            raise EncodingError(f"{reference} should be of type {reference.type_name}, got {_type_name(value)}")
        return value

    def _known(self, value: object) -> Reference | None:
        """The reference of `value`, if it still leads to it: an id may have been reused."""
        reference = self._index.get(id(value))
        if reference is None:
            return None
        try:
            return reference if _follow(self._seen[reference.module], reference) is value else None
        except (LookupError, TypeError):
            return None

    def _look_around(self) -> None:
        index: dict[int, Reference] = {}
        modules = {module.__name__: module for module in self._modules()}
        for module in modules.values():
            for name, value in list(vars(module).items()):
                if not name.startswith("__"):
                    for steps, found in within(value):
                        reference = Reference(module.__name__, name, steps, _type_name(found))
                        index.setdefault(id(found), reference)
        self._seen, self._index = modules, index


def space_modules(root: Path) -> Callable[[], Iterable[ModuleType]]:
    """A function that lists a Space's own modules: `__main__`, then the modules imported from below `root`.

    Packages of a virtual environment below `root` are not the Space's own.
    """
    prefix = f"{root.resolve()}/"
    own: list[ModuleType] = []
    looked_at = 0

    def modules() -> list[ModuleType]:
        nonlocal own, looked_at
        if looked_at != len(sys.modules):  # of thousands of modules, a few are the Space's
            loaded = [name for name in modules_since() if name != "__mp_main__"]
            modules = [module for name in loaded if (module := sys.modules.get(name)) is not None]
            own = [module for module in modules if _is_below(prefix, module)]
            looked_at = len(sys.modules)
        main = sys.modules["__main__"]
        return [main, *(module for module in own if module is not main)]

    return modules


def _is_below(prefix: str, module: object) -> bool:
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    return isinstance(file, str) and file.startswith(prefix) and "/site-packages/" not in file


def may_be_referred_to(value: Any) -> bool:  # any: told by its type
    """Whether `value` is sent by name if it is at module level: it is no data, and pickle would not name it anyway."""
    cls: Any = type(value)  # any: mypy finds no hash in `type[Any]`
    if issubclass(cls, _BY_VALUE + _BY_NAME) or extension_of(cls) is not None:
        return False
    return not (issubclass(cls, FunctionType) and _is_importable(value))


def _is_importable(function: FunctionType) -> bool:
    found: object = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = own_attributes(found).get(name)
    return found is function


def within(value: object, steps: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], object]]:
    """`value` and the objects in it that may be sent by name, with the steps to each."""
    referable = may_be_referred_to(value)
    if referable:
        yield steps, value
    if len(steps) < STEPS and (referable or type(value) in (list, tuple, dict)):
        for step, inner in _held_by(value):
            yield from within(inner, (*steps, step))


def _held_by(
    value: Any,
) -> Iterable[tuple[Step, object]]:  # any: checked by its exact type, because a proxy deceives `match`
    cls = type(value)
    if cls is FunctionType or (cls in (list, tuple, dict) and len(value) > MOST_ITEMS):
        return []
    if cls in (list, tuple):
        return [(("item", index), item) for index, item in enumerate(value)]
    if cls is dict:
        return [(("item", key), item) for key, item in list(value.items()) if type(key) in (str, int)]
    return [(("attribute", name), item) for name, item in _attributes(value).items()]


def _attributes(value: object) -> dict[str, object]:
    """The instance's own attributes and, of a torch module, its submodules: read without running any of its code."""
    own = own_attributes(value)
    submodules = own.get("_modules")
    return {**own, **submodules} if type(submodules) is dict else dict(own)


def _follow(module: ModuleType, reference: Reference) -> object:
    value: Any = vars(module)[reference.name]  # any: of a type that only the Space knows
    for kind, key in reference.steps:
        if kind == "attribute":
            value = _attributes(value)[str(key)]
        elif type(value) in (list, tuple, dict):
            value = value[key]
        else:
            raise TypeError(f"{type(value).__name__} holds no items")
    return value


def _type_name(value: object) -> str:
    return f"{module_of(type(value))}.{qualname_of(type(value))}"
