"""Brings payloads to where their readers can reach them: a child has the shared memory of its host and no broker, a
caller on another host has the broker and another memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from spaces.errors import SpacesError
from spaces.farm.events import Event, Failed, Succeeded, Yielded
from spaces.farm.payload import Blob, Payload
from spaces.farm.payloads.stores import BrokerStore, SharedMemoryStore, discard, move
from spaces.farm.task import Task

E = TypeVar("E", bound=Event)


class Carrier:
    """Moves the blobs of payloads, and of the files that travel with them."""

    def __init__(self, host: str, files: SharedMemoryStore, strings: BrokerStore) -> None:
        self._host = host
        self._files = files
        self._strings = strings

    def is_far(self, task: Task) -> bool:
        """Whether the task's caller is on another host, with another disk."""
        return task.host != self._host

    def fetched(self, payload: Payload) -> Payload:
        """The same payload where a child of this host can read it. Raises SpacesError if it is out of reach."""
        return _with_each_blob(payload, self._fetch)

    def forget(self, fetched: Payload, original: Payload) -> None:
        """Delete the copies that `fetched` made; the original is its caller's."""
        kept = {each.blob for each in _parts(original)}
        for each in _parts(fetched):
            if each.blob not in kept:
                discard(each, [self._files])

    def delivered(self, event: E, task: Task) -> E:
        """The same event with its payload where the task's caller can read it."""
        if not self.is_far(task):
            return event
        match event:
            case Yielded(value) | Succeeded(value):
                return replace(event, value=_with_each_blob(value, self._send))
            case Failed(error=Payload() as error):
                return replace(event, error=_with_each_blob(error, self._send))
            case _:
                return event

    def _fetch(self, blob: Blob) -> Blob:
        if self._files.holds(blob):
            return blob
        if blob.place == "file":
            raise SpacesError(
                f"the task's arguments are in the shared memory of {blob.host!r}, which this worker on "
                f"{self._host!r} cannot read; call again"
            )
        return self._files.write(self._strings.read(blob))

    def _send(self, blob: Blob) -> Blob:
        return move(blob, self._files, self._strings) if self._files.holds(blob) else blob


def _parts(payload: Payload) -> list[Payload]:
    return [payload, *(copy.content for copy in payload.files)]


def _with_each_blob(payload: Payload, change: Callable[[Blob], Blob]) -> Payload:
    """The payload with its own blob, and those of its files, changed."""
    files = tuple(replace(copy, content=_with_each_blob(copy.content, change)) for copy in payload.files)
    return replace(payload, blob=change(payload.blob) if payload.blob else None, files=files)
