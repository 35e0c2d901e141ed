"""A child's side of changing globals: it applies the web process's changes, and reports the changes of a task.

A change is applied only if its version is new here: so a function may change a global itself and find its own value at
the next call, until the web process changes it again.
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
    """The globals of a Space in one child, for all of its tasks."""

    def __init__(self, space: SpaceGlobals, codec: Codec) -> None:
        self._space = space
        self._codec = codec
        self._places = {(each.module, each.path): each for each in space.sent}
        self._applied: dict[Slot, _Applied] = {}
        self._web = ""
        self._told: set[tuple[Namespace, str]] = set()

    @contextmanager
    def during(self, packed: bytes, tell: Callable[[ChangedGlobals], None]) -> Iterator[None]:
        """Run a task within this: it sees the web process's globals; `tell` gets those it changed and the page reads.

        `packed` comes from `Outgoing.packed`; it is empty, and changes nothing, for callers that are no web process.
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
        """Apply the new changes; those of another web process start from the globals of the launch."""
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
            self._refuse(change, "the GPU process has nothing of that name")
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
        for applied in reversed(self._applied.values()):  # in reverse, because two globals may be the same object
            applied.undo()
        self._applied.clear()

    def _missed(self) -> dict[tuple[Namespace, str], Mark]:
        """Marks of the globals whose change the web process would miss."""
        mark = self._space.marks.of
        return {(place, name): mark(value) for place in self._space.missed for name, value in place.items()}

    def _described(self, place: Namespace, name: str) -> ChangedGlobal:
        slot = place.slot(name)
        return ChangedGlobal(str(slot), self._space.web_reader(slot))


_REFILLED = (dict, set, list, deque, bytearray)


@dataclass(slots=True)
class _Applied:
    """A global that was changed, and its state before."""

    place: Namespace
    name: str
    before: object
    content: object  #: a copy of `before`, if its content was replaced
    version: int = 0

    def undo(self) -> None:
        if self.content is not self.before:
            _refilled(self.before, self.content)
        self.place.put(self.name, self.before)


def _copied(value: Any) -> Any:  # Any: containers of any items
    """A copy of a container's content, to restore it later."""
    if not issubclass(type(value), _REFILLED) and not is_array(type(value)):
        return value
    try:
        return copy.copy(value)
    except Exception:  # someone's own `__copy__`
        return value


def _refilled(target: Any, source: Any) -> bool:  # Any: containers of any items
    """Replace a container's content by that of another one of its type, so that all its holders see it; False if they
    are no such containers."""
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
