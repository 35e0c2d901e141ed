"""A page's connection to the gateway: one socket and one thread for all calls, made again whenever it breaks.

Each call can be repeated without harm. So a call whose answer was lost with the connection is sent again on the next.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeGuard, TypeVar

from spaces import errors
from spaces.errors import FarmUnavailable, RefusedError, SpacesError
from spaces.farm import wire
from spaces.farm.links.frames import EVENT, FAILURE, FIRST_CALL, ONE_WAY, Frames, frame
from spaces.farm.links.gateway_address import connected
from spaces.farm.links.messages import Beat, Hello, Refusal, Undeliverable, Welcome
from spaces.farm.version import VERSION

logger = logging.getLogger(__name__)

A = TypeVar("A")

#: Seconds that a call waits for its answer.
PATIENCE = 10.0

#: Seconds that a gateway may take no bytes until the connection is made again.
SEND_PATIENCE = 5.0

#: Seconds between two attempts to connect.
RETRY_INTERVAL = 0.1

GREETING_PATIENCE = 5.0


class Call:
    """A call that waits for its answer."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent
        self.answer: Any = None  # Any: a message
        self._arrived = threading.Lock()
        self._arrived.acquire()

    def settle(self, answer: object) -> None:
        self.answer = answer
        self._arrived.release()

    def wait(self, timeout: float) -> bool:
        return self._arrived.acquire(timeout=timeout)


class Line:
    """Calls the gateway at `address`; `on_event` and `on_failure` get what it sends by itself, on the line's thread.

    `again` is called on that thread whenever a connection was made, with a function that sends one message.
    """

    def __init__(
        self,
        address: str,
        *,
        on_event: Callable[[bytes], None],
        on_failure: Callable[[Undeliverable], None],
        again: Callable[[Callable[[object], None]], None],
        away: Callable[[float], None],
        refused: Callable[[SpacesError], None],
        token: str = "",
    ) -> None:
        self._address = address
        self._refused = refused
        self._hello = Hello(os.urandom(6).hex(), VERSION, token, takes_several=True)
        self._on_event, self._on_failure, self._again, self._away = on_event, on_failure, again, away
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._socket: socket.socket | None = None
        self._calls: dict[int, Call] = {}
        self._number = FIRST_CALL
        self._welcomed = threading.Event()
        self._welcome: Welcome | Refusal | None = None
        self._closing = threading.Event()
        self._heard = threading.Event()
        threading.Thread(target=self._run, name="zerofarm-gateway", daemon=True).start()

    @property
    def welcome(self) -> Welcome:
        """The gateway's rules. Raises FarmUnavailable, RefusedError."""
        if not self._welcomed.wait(PATIENCE):
            raise FarmUnavailable("the farm's gateway does not answer. Try again")
        if isinstance(self._welcome, Welcome):
            return self._welcome
        raise error_of(self._welcome) if self._welcome else FarmUnavailable("the farm's gateway is gone")

    def call(self, message: object, kind: type[A], patience: float = PATIENCE) -> A:
        """The answer to a message. Raises FarmUnavailable after `patience` seconds, and what the gateway refuses."""
        packed = wire.pack(message)
        if is_final(self._welcome):
            raise error_of(self._welcome)
        with self._lock:
            self._number = number = FIRST_CALL + (self._number - FIRST_CALL + 1) % 2**31
            call = self._calls[number] = Call(frame(number, packed))
        self._send(call.sent)
        if not call.wait(patience):
            self._calls.pop(number, None)
            raise FarmUnavailable(f"the farm's gateway has not answered for {patience:g} s")
        if isinstance(call.answer, Refusal):
            raise error_of(call.answer)
        if not isinstance(call.answer, kind):
            raise FarmUnavailable(f"the gateway answered {type(call.answer).__name__} instead of {kind.__name__}")
        return call.answer

    def tell(self, message: object) -> None:
        """Send a message that has no answer; it is lost if the connection breaks."""
        self._send(frame(ONE_WAY, wire.pack(message)))

    def post(self, message: object) -> None:
        """Send a message whose answer nobody waits for; it is sent again until it is answered."""
        packed = wire.pack(message)
        with self._lock:
            self._number = number = FIRST_CALL + (self._number - FIRST_CALL + 1) % 2**31
            call = self._calls[number] = Call(frame(number, packed))
        self._send(call.sent)

    def close(self) -> None:
        """Close the connection for good."""
        self._closing.set()
        self._shut()

    def _send(self, data: bytes) -> None:
        with self._sending:
            if self._socket is None:
                return  # it is sent when the line is connected again
            try:
                self._socket.sendall(data)
            except OSError as error:
                logger.debug("the gateway did not take a message: %s", error)
                _end(self._socket)  # half a message may have been sent
                self._socket = None

    # --- the thread of the line

    def _run(self) -> None:
        broken_at = 0.0
        while not self._closing.is_set():
            try:
                with connected(self._address) as sock:
                    self._converse(sock)
            except (OSError, wire.BadMessage) as error:
                if self._closing.is_set():
                    return
                if not broken_at or self._heard.is_set():
                    broken_at = time.monotonic()
                    level = logging.WARNING if self._welcomed.is_set() else logging.DEBUG
                    logger.log(level, "the gateway does not answer; the line is made again: %s", error)
                self._heard.clear()
                self._away(time.monotonic() - broken_at)
            except Exception:
                logger.exception("the line to the gateway failed; it is made again")
            finally:
                with self._sending:
                    self._socket = None
            self._closing.wait(RETRY_INTERVAL)

    def _converse(self, sock: socket.socket) -> None:
        frames = Frames(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_PATIENCE))
        sock.sendall(frame(FIRST_CALL, wire.pack(self._hello)))
        beat = self._greeted(frames)
        with self._sending:
            self._again(lambda message: sock.sendall(frame(ONE_WAY, wire.pack(message))))
            with self._lock:
                unanswered = [call.sent for _, call in sorted(self._calls.items())]
            for sent in unanswered:
                sock.sendall(sent)
            self._socket = sock
        self._heard.set()
        next_beat = time.monotonic()
        while True:
            if (left := next_beat - time.monotonic()) <= 0:
                self.tell(Beat())
                next_beat = time.monotonic() + beat
                continue
            if (found := frames.next(left)) is not None:
                self._take(*found)

    def _greeted(self, frames: Frames) -> float:
        found = frames.next(GREETING_PATIENCE)
        answer = wire.unpack(found[1]) if found else None
        if isinstance(answer, Refusal):
            self._welcome = answer
            self._welcomed.set()
            if is_final(answer):
                self._give_up(answer)
            self._closing.wait(RETRY_INTERVAL * 20)
            raise ConnectionError(answer.text)
        if not isinstance(answer, Welcome):
            raise ConnectionError("it did not say welcome")
        self._welcome = answer
        self._welcomed.set()
        return answer.beat

    def _give_up(self, answer: Refusal) -> None:
        """Tell all that wait why they wait in vain. The line goes on: an operator may change that."""
        with self._lock:
            calls, self._calls = self._calls, {}
        for call in calls.values():
            call.settle(answer)
        self._refused(error_of(answer))

    def _take(self, number: int, body: bytes) -> None:
        if number == EVENT:
            self._on_event(body)
        elif number == FAILURE:
            self._on_failure(wire.unpack_as(Undeliverable, body))
        elif (call := self._calls.pop(number, None)) is not None:
            call.settle(wire.unpack(body))

    def _shut(self) -> None:
        with self._sending:
            if self._socket is not None:
                _end(self._socket)


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)  # the line's thread sees the end


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))


def is_final(answer: Welcome | Refusal | None) -> TypeGuard[Refusal]:
    """Whether the gateway has refused this page or its token, and not only for now."""
    return isinstance(answer, Refusal) and answer.error != FarmUnavailable.__name__


def error_of(refusal: Refusal | Undeliverable) -> SpacesError:
    """The error that the gateway reports."""
    cls = getattr(errors, refusal.error, RefusedError)
    if not (isinstance(cls, type) and issubclass(cls, SpacesError)):
        cls = RefusedError
    return cls(refusal.text)
