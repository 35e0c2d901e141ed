"""Moves payloads to a store that their readers can reach: a child reaches only the shared memory of its host, a caller
on another host only the broker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from spaces.errors import SpacesError
from spaces.farm.events import Event, Succeeded, Yielded, payload_of
from spaces.farm.payloads.broker_store import BrokerStore, check_size
from spaces.farm.payloads.payload import Blob, Payload, blobs_of
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.payloads.store import discard
from spaces.farm.task import Task
from spaces_workers.link.channel import Garbled

E = TypeVar("E", bound=Event)


class Carrier:
    """Moves the blobs of payloads, and of the files that are sent with them."""

    def __init__(
        self,
        host: str,
        memory: SharedMemoryStore,
        broker: BrokerStore,
        user_of: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        self._host = host
        self._user_of = user_of  #: of a Space whose children have a user of their own
        self._memory = memory
        self._broker = broker

    def is_far(self, task: Task) -> bool:
        """Whether the task's caller is on another host, with another disk."""
        return task.host != self._host

    def fetched(self, payload: Payload, space: str) -> Payload:
        """The payload, moved to where a child of this Space can read it. Raises SpacesError if that is impossible."""
        fetched = _with_each_blob(payload, self._fetch)
        blobs = set(blobs_of(fetched))
        if blobs and (user := self._user_of(space)) is not None:  # asked for small arguments, it would take longer
            for blob in blobs:
                self._memory.give(blob, user)
        return fetched

    def forget(self, fetched: Payload, original: Payload) -> None:
        """Delete the copies that `fetched` made; the original stays until the task has ended."""
        for copy in set(blobs_of(fetched)) - set(blobs_of(original)):
            self._memory.delete(copy)

    def delivered(self, event: E, task: Task) -> E:
        """The event, with its payload moved to where the task's caller can read it."""
        if not self.is_far(task):
            return event
        match event:
            case Yielded(value) | Succeeded(value):
                return replace(event, value=_with_each_blob(value, self._send))
            case _:
                return event

    def discard(self, payload: Payload) -> None:
        """Delete the blobs of a payload that nobody reads, wherever this host reaches them."""
        discard(payload, self._memory, self._broker)

    def discard_value_of(self, event: Event) -> None:
        """Delete what an event brings that no reader will be given."""
        if (value := payload_of(event)) is not None:
            self.discard(value)

    def _fetch(self, blob: Blob) -> Blob:
        if self._memory.holds(blob):
            return blob
        if not self._broker.holds(blob):
            raise SpacesError(
                f"the task's arguments are in the shared memory of {blob.host!r}, which this worker on "
                f"{self._host!r} cannot read; call again"
            )
        return self._memory.write(self._broker.read(blob))

    def _send(self, blob: Blob) -> Blob:
        if not self._memory.holds(blob):
            return blob
        check_size(blob.size_bytes)
        try:
            sent = self._broker.write(self._memory.copy(blob))
        except ValueError as error:
            raise Garbled(f"it named a payload that it did not write: {error}") from error
        self._memory.delete(blob)
        return sent


def _with_each_blob(payload: Payload, change: Callable[[Blob], Blob]) -> Payload:
    """The payload with its own blob, and those of its files, changed."""
    files = tuple(replace(copy, content=_with_each_blob(copy.content, change)) for copy in payload.files)
    return replace(payload, blob=change(payload.blob) if payload.blob else None, files=files)
