"""A child's side of globals that change: it takes over what the web process changed, and tells what a task changed.

A change is taken over when its version is new here, and only then: so a function may change a global itself and find
its own value at the next call, until the web process changes it again.
"""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from spaces.errors import EncodingError
from spaces.farm.events import ChangedGlobal, ChangedGlobals
from spaces.farm.values.arrays import is_array
from spaces.farm.values.codec import Codec
from spaces.farm.wire import unpack
from spaces.state.changes import Change, Changes
from spaces.state.marks import Mark, same
from spaces.state.space_globals import MISSING, Namespace, Slot, SpaceGlobals

logger = logging.getLogger(__name__)


class Incoming:
    """The globals of a Space in one child, through all of its tasks."""

    def __init__(self, space: SpaceGlobals, codec: Codec) -> None:
        self._space = space
        self._codec = codec
        self._places = {(each.module, each.path): each for each in space.sent}
        self._applied: dict[Slot, _Applied] = {}
        self._web = ""
        self._told: set[tuple[Namespace, str]] = set()

    @contextmanager
    def during(self, packed: bytes, tell: Callable[[ChangedGlobals], None]) -> Iterator[None]:
        """Run a task in here: with the web process's globals, telling afterwards which of those it reads have changed.

        `packed` is what `Outgoing.packed` made; empty, for callers that are no web process, changes nothing.
        """
        if packed:
            self.apply(unpack(packed))
        before = self._missed()
        try:
            yield
        finally:
            after = self._missed()
            changed = [key for key, mark in after.items() if not same(mark, before.get(key)) and key not in self._told]
            if changed:
                self._told.update(changed)
                tell(ChangedGlobals(tuple(self._described(place, name) for place, name in changed)))

    def apply(self, changes: Changes) -> None:
        """Take over what is new. After a web process, another one's globals start from those of the launch."""
        if changes.web != self._web:
            self._forget()
            self._web = changes.web
        for change in changes.changes:
            applied = self._applied.get(change.slot)
            if applied is None or applied.version != change.version:
                self._take_over(change, applied)

    def _take_over(self, change: Change, applied: _Applied | None) -> None:
        place = self._places.get((change.module, change.path))
        if place is None:
            self._refuse(change, "there is nothing of that name in the GPU process")
            return
        try:
            value = MISSING if change.value is None else self._codec.decode(change.value.body, change.value.buffers)
        except EncodingError as error:
            self._refuse(change, str(error))
            return
        now = place.get(change.name)
        if applied is None:
            content = _copied(now) if change.inside else now
            self._applied[change.slot] = applied = _Applied(place, change.name, now, content)
        applied.version = change.version
        if not (change.inside and _refilled(now, value)):
            place.put(change.name, value)

    def _refuse(self, change: Change, reason: str) -> None:
        logger.warning("the global %r was changed in the web process, but not here: %s", str(change.slot), reason)

    def _forget(self) -> None:
        for applied in reversed(self._applied.values()):  # two globals may be one object
            applied.undo()
        self._applied.clear()

    def _missed(self) -> dict[tuple[Namespace, str], Mark]:
        """What those globals are like whose change the web process would miss."""
        mark = self._space.marks.of
        return {(place, name): mark(value) for place in self._space.missed for name, value in place.items()}

    def _described(self, place: Namespace, name: str) -> ChangedGlobal:
        slot = place.slot(name)
        return ChangedGlobal(str(slot), self._space.web_reader(slot))


_REFILLED = (dict, set, list, deque, bytearray)


@dataclass(slots=True)
class _Applied:
    """A global that was taken over, and how it was before."""

    place: Namespace
    name: str
    before: object
    content: object  #: a copy of `before`, if it was filled anew
    version: int = 0

    def undo(self) -> None:
        if self.content is not self.before:
            _refilled(self.before, self.content)
        self.place.put(self.name, self.before)


def _copied(value: Any) -> Any:  # Any: containers of any items
    """A container's content, for the day when the container gets it back."""
    if not issubclass(type(value), _REFILLED) and not is_array(type(value)):
        return value
    try:
        return copy.copy(value)
    except Exception:  # someone's own `__copy__`
        return value


def _refilled(target: Any, source: Any) -> bool:  # Any: containers of any items
    """Give a container the content of another one of its type, so that whoever holds it sees that; False: neither."""
    if type(target) is not type(source):
        return False
    if not issubclass(type(target), _REFILLED):
        return _refilled_array(target, source)
    target.clear()
    if issubclass(type(target), (dict, set)):
        target.update(source)
    else:
        target.extend(source)
    return True


def _refilled_array(target: Any, source: Any) -> bool:  # Any: numpy arrays, or anything else
    if not is_array(type(target)):
        return False
    if target.shape != source.shape or target.dtype != source.dtype or not target.flags.writeable:
        return False
    target[...] = source
    return True
