"""The types of a message's fields, read off its class once, and checked for every message that arrives."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

Types = tuple[type, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of one class of messages."""

    cls: type
    names: tuple[str, ...]
    allowed: tuple[Types, ...]  #: the types of each field's value
    sequences: tuple[tuple[int, Types], ...]  #: the fields that are sequences, by index, with the types of a member
    fewest: int  #: fields without a default
    most: int
    #: Types of values that were found to fit, because a look into this set costs a tenth of the check.
    _accepted: set[Types] = field(default_factory=set)

    @classmethod
    def of(cls, message: type) -> Self:
        """The shape of a dataclass, whose fields without a default come first."""
        every = fields(message)
        hints = get_type_hints(message)
        members = [(index, _members_of(hints[each.name])) for index, each in enumerate(every)]
        return cls(
            cls=message,
            names=tuple(each.name for each in every),
            allowed=tuple(tuple(_types_of(hints[each.name])) for each in every),
            sequences=tuple((index, found) for index, found in members if found),
            fewest=sum(map(_is_required, every)),
            most=len(every),
        )

    def fits(self, values: Sequence[Any]) -> bool:  # Any: of any type
        """Whether a message can have these values; later fields take their defaults."""
        found = tuple(map(type, values))
        if found not in self._accepted:
            if len(values) < self.fewest or not all(map(isinstance, values, self.allowed)):
                return False
            self._accepted.add(found)
        for index, allowed in self.sequences:
            if index < len(values) and values[index] and not all(isinstance(each, allowed) for each in values[index]):
                return False
        return True

    def complaint(self, values: Sequence[object]) -> str:
        """Why values do not fit, in a sentence."""
        name = self.cls.__name__
        if len(values) < self.fewest:
            return f"message {name} needs at least {self.fewest} fields, got {len(values)}"
        for each, value, allowed in zip(self.names, values, self.allowed, strict=False):
            if not isinstance(value, allowed):
                return f"field {each!r} of message {name} must be {_in_words(allowed)}, got {type(value).__name__}"
        return f"a sequence in message {name} has a member of a wrong type"


def _in_words(allowed: Types) -> str:
    return " or ".join(each.__name__ for each in allowed)


def _is_required(field: Field[Any]) -> bool:  # Any: of any type
    return field.default is MISSING and field.default_factory is MISSING


def _types_of(hint: Any) -> Iterator[type]:  # Any: an annotation
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        for each in get_args(hint):
            yield from _types_of(each)
    elif hint is float:
        yield from (float, int)  # msgpack tells 1.0 from 1, callers do not
    else:
        yield origin or hint


def _members_of(hint: Any) -> Types:  # Any: an annotation
    """The types of the members of `tuple[X, ...]`; empty for anything else."""
    if get_origin(hint) is not tuple or get_args(hint)[1:] != (...,):
        return ()
    return tuple(_types_of(get_args(hint)[0]))
