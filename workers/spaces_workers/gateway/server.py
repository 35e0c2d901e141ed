"""Accepts the connections of pages at one socket for each Space, and of programs and pages of other hosts by TCP.

A Space's socket is in a folder that only its user can enter; who connects is also checked. Others show a token.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from spaces.farm.links.gateway_address import watch
from spaces_workers.gateway.admission import Admission, ByPlace, ByToken
from spaces_workers.gateway.broker_side import BrokerSide
from spaces_workers.gateway.outlet import Drains, Outlet
from spaces_workers.gateway.session import Session
from spaces_workers.gateway.tenant import Tenant
from spaces_workers.link.listener import BACKLOG, PAUSE, peer_uid

logger = logging.getLogger(__name__)

#: Connections at the same time: of one Space's pages here, and of all who come with tokens.
MOST_OF_PAGES, MOST_WITH_TOKENS = 16, 512


@dataclass(slots=True, eq=False)
class Door:
    """A socket at which connections arrive."""

    name: str
    listener: socket.socket
    admission: Admission  #: of the connections that arrive from now on
    most: int  #: connections at the same time
    uid: int | None  #: of the processes that may connect; None: all that reach it, also from other hosts


class Gateway:
    """Serves the doors of one farm on this host."""

    def __init__(self, broker: BrokerSide) -> None:
        self._broker = broker
        self._drains = Drains()
        self._selector = selectors.DefaultSelector()
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, door: Door) -> None:
        """Accept connections at a door."""
        self.watch(door.listener, lambda _: self._accept(door))

    def drop(self, door: Door) -> None:
        """Accept no more connections at a door."""
        self._selector.unregister(door.listener)
        door.listener.close()

    def watch(self, listener: socket.socket, accept: Callable[[socket.socket], None]) -> None:
        """Call `accept` on the serving thread whenever somebody connects."""
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, accept)

    def serve(self) -> NoReturn:
        """Accept connections for ever; each is served by a thread of its own."""
        while True:
            for key, _ in self._selector.select():
                if self._selector.get_map().get(key.fd) is key:  # not dropped in this round
                    key.data(key.fileobj)

    def _accept(self, door: Door) -> None:
        try:
            sock, _ = door.listener.accept()
        except OSError as error:  # it is gone already, or no descriptor is left
            logger.warning("a connection to %s was not accepted: %s", door.name, error)
            time.sleep(PAUSE)  # the connection that could not be accepted still waits
            return
        if door.uid is not None and peer_uid(sock) != door.uid:
            logger.warning("user %d may not connect to %s", peer_uid(sock), door.name)
            sock.close()
            return
        with self._lock:
            if self._open[door.name] >= door.most:
                logger.warning("%s has %d connections; one more is refused", door.name, door.most)
                sock.close()
                return
            self._open[door.name] += 1
        threading.Thread(target=self._serve, args=(sock, door), name=door.name, daemon=True).start()

    def _serve(self, sock: socket.socket, door: Door) -> None:
        sock.setblocking(True)
        outlet = Outlet(sock, self._drains)
        try:
            if door.uid is None:
                watch(sock)
            Session(sock, outlet, self._broker, door.admission).serve()
        except Exception:
            logger.exception("a session of %s failed", door.name)
        finally:
            outlet.close()
            self._drains.remove(outlet)
            sock.close()
            with self._lock:
                self._open[door.name] -= 1


def listen_for(page: str, path: Path, uid: int, tenant: Tenant) -> Door:
    """The door of a page: a socket that only its Space's user can reach."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    if uid != os.getuid():
        os.chown(path, uid, uid)
        os.chown(path.parent, uid, uid)
    listener.listen(BACKLOG)
    return Door(f"Space {page}", listener, ByPlace(tenant), MOST_OF_PAGES, uid)


def listen_with_tokens(host: str, port: int) -> Door:
    """The door for programs and pages of other hosts. Raises OSError."""
    listener = socket.create_server((host, port), family=_family(host, port), backlog=BACKLOG)
    return Door(f"{host}:{port}", listener, ByToken(), MOST_WITH_TOKENS, None)


def _family(host: str, port: int) -> socket.AddressFamily:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]


def remove(path: Path) -> None:
    """Remove a socket and its folder."""
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()
