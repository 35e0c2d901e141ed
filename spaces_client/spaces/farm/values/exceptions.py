"""Takes exceptions apart and rebuilds them without their `__init__`, whose parameters may be anything.

The codec pickles exceptions in this way; `failure` rebuilds from their parts exceptions with a value that cannot be
sent.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from spaces.farm.values.glance import module_of, own_attributes, text_of

#: Fields that an AttributeError has only temporarily, and those that a group is made with.
_LEFT_OUT = frozenset({"obj", "message", "exceptions"})

_args: Any = vars(BaseException)["args"]  # any: a descriptor, which no class of the Space can replace

#: Returns whether a value can be sent.
Keep = Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class ExceptionParts:
    """The content of an exception, without its traceback, cause and context."""

    cls: type[BaseException]
    members: tuple[str, tuple[BaseException, ...]] | None  #: only of a group, which is created with them
    args: tuple[Any, ...]
    fields: dict[str, Any]  #: of Python's own exceptions: `errno`, `filename`
    attributes: dict[str, Any]  #: of the instance, with its notes
    slots: dict[str, Any]

    @classmethod
    def of(cls, error: BaseException, keep: Keep = lambda _: True) -> ExceptionParts:
        """Take an exception apart, without values that `keep` refuses; refused arguments become descriptions."""
        args = _args.__get__(error)
        return cls(
            type(error),
            (error.message, error.exceptions) if isinstance(error, BaseExceptionGroup) else None,
            args if keep(args) else (text_of(error),),
            {name: value for name, value in native_fields(error) if keep(value)},
            {name: value for name, value in list(own_attributes(error).items()) if keep(value)},
            {name: value for name, value in _slots(error) if keep(value)},
        )

    def together(self) -> BaseException:
        """Rebuild the exception. Raises TypeError if its class is no exception, or is not written in Python."""
        return filled(new_exception(self.cls, self.members), self)


def reduced(error: BaseException) -> Any:  # any: a reduce value has six forms
    """The reduce value by which pickle writes an exception without its own."""
    parts = ExceptionParts.of(error)
    return new_exception, (parts.cls, parts.members), parts, None, None, filled


@lru_cache(maxsize=1024)
def is_reduced_by_default(cls: type) -> bool:
    """Whether pickle would rebuild it by its `__init__` with `args`."""
    if not issubclass(cls, BaseException):
        return False
    own = [each for each in type.mro(cls) if module_of(each) != "builtins"]
    return bool(own) and not any(name in vars(each) for each in own for name in _SAYS_ITSELF)


_SAYS_ITSELF = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def new_exception(
    cls: type[BaseException], members: tuple[str, tuple[BaseException, ...]] | None = None
) -> BaseException:
    """An empty exception of a class. Pickles refer to this function."""
    base = next(each for each in type.mro(cls) if module_of(each) == "builtins")
    if not issubclass(base, BaseException):
        raise TypeError(f"{cls} is no exception")
    return base.__new__(cls, *members) if members else base.__new__(cls)


def filled(error: BaseException, parts: ExceptionParts) -> BaseException:
    """Put the parts into an exception. Pickles refer to this function."""
    _args.__set__(error, parts.args)
    own_attributes(error).update(parts.attributes)
    for name, value in (parts.fields | parts.slots).items():
        with suppress(AttributeError, TypeError):  # it is read-only
            object.__setattr__(error, name, value)
    return error


def native_fields(error: BaseException) -> Iterator[tuple[str, Any]]:
    """The fields of Python's own exceptions outside of `__dict__`, if they are set."""
    for base in type.mro(type(error)):
        if module_of(base) == "builtins" and base not in (object, BaseException):
            for name, descriptor in vars(base).items():
                if isinstance(descriptor, _DESCRIPTORS) and not name.startswith("__") and name not in _LEFT_OUT:
                    yield from _read(error, name, descriptor)


_DESCRIPTORS = (GetSetDescriptorType, MemberDescriptorType)


def _read(error: BaseException, name: str, descriptor: Any) -> Iterator[tuple[str, Any]]:  # any: of some field
    try:
        value = descriptor.__get__(error)
    except (AttributeError, TypeError):  # it was never set
        return
    if value is not None:
        yield name, value


def _slots(error: BaseException) -> Iterator[tuple[str, Any]]:
    for name in copyreg._slotnames(type(error)):  # type: ignore[attr-defined] # as pickle itself asks for them
        try:
            yield name, object.__getattribute__(error, name)
        except AttributeError:
            continue
