"""A page that speaks the gateway's protocol by itself, and need not be honest."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from spaces.farm import wire
from spaces.farm.links.frames import EVENT, FAILURE, FIRST_CALL, ONE_WAY, Frames, frame
from spaces.farm.links.gateway_address import connected
from spaces.farm.links.messages import Hello, Welcome
from spaces.farm.payloads.payload import Payload
from spaces.farm.task import FunctionName, Task
from spaces.farm.values.codec import Codec
from spaces.farm.version import VERSION


class BarePage:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.frames = Frames(sock)
        self.events: list[bytes] = []
        self.failures: list[Any] = []  # Any: messages
        self._number = FIRST_CALL

    def greet(self) -> Any:  # Any: Welcome or Refusal
        return self.ask(Hello(uuid.uuid4().hex[:12], VERSION))

    def ask(self, message: object) -> Any:  # Any: the answer
        """The answer to a message; what comes before it is collected."""
        self._number += 1
        self.socket.sendall(frame(self._number, wire.pack(message)))
        while (found := self.next()) is not None:
            if found[0] == self._number:
                return wire.unpack(found[1])
        raise AssertionError(f"no answer to {message}")

    def tell(self, message: object) -> None:
        self.socket.sendall(frame(ONE_WAY, wire.pack(message)))

    def next(self, timeout: float = 10.0) -> tuple[int, bytes] | None:
        found = self.frames.next(timeout)
        if found is not None and found[0] == EVENT:
            self.events.append(found[1])
        if found is not None and found[0] == FAILURE:
            self.failures.append(wire.unpack(found[1]))
        return found

    def kinds(self) -> list[str]:
        """The names of the events so far."""
        return [type(wire.unpack(event.split(b" ", 3)[3])).__name__ for event in self.events]


@contextmanager
def bare_page(address: str, *, greets: bool = True) -> Iterator[BarePage]:
    """A connection to the gateway at an address, for one Space."""
    with connected(address) as sock:
        page = BarePage(sock)
        if greets:
            assert isinstance(page.greet(), Welcome)
        yield page


def task_of(space: str, function: str, *args: object, **fields: Any) -> Task:  # Any: of a task
    """A task as a page makes it."""
    encoded = Codec().encode((args, {}))
    payload = Payload(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))
    made = Task(space, FunctionName("__main__", function), payload, version=VERSION, host="test-host")
    return replace(made, **fields)
