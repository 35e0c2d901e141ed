"""Chooses the ports of a farm's pages."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from spaces.errors import SpacesError

HIGHEST = 65535

#: The lowest port that is chosen for 0, and the number of ports that are tried before the system chooses.
LOWEST, TRIES = 20_000, 100

#: Where the pages of a farm with a front door listen, and from where the door comes: only this host reaches it.
INSIDE = "127.0.0.1"


class PortError(SpacesError):
    """A requested port is not available, or a host name is no address of this machine."""


class Ports:
    """Hands out free ports of one host, each only once."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._given: set[int] = set()

    def exactly(self, port: int, option: str) -> int:
        """This port, or any free one for 0. Raises PortError if it is taken."""
        if not 0 <= port <= HIGHEST:
            raise PortError(f"{option} must be between 0 and {HIGHEST}, got {port}")
        found = self._free(port)
        if found is None:
            raise PortError(f"port {port} of {self._host} is taken. Stop what uses it, or give another {option}, or 0")
        return found

    def after(self, port: int) -> int:
        """The next free port above this one, or any free one for 0."""
        for candidate in range(port + 1, HIGHEST + 1) if port else ():
            found = self._free(candidate)
            if found is not None:
                return found
        return self.exactly(0, "--port")

    def _free(self, port: int) -> int | None:
        candidates = [port] if port else _quiet_ports()
        number = next((found for each in candidates if (found := self._bound(each)) not in (None, *self._given)), None)
        if number is not None:
            self._given.add(number)
        return number

    def _bound(self, port: int) -> int | None:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self._host, port, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise PortError(f"--host {self._host} is no address of this machine: {error}") from None
        with contextlib.closing(socket.socket(family, kind, protocol)) as probe:
            # As servers do: a port whose last connections are in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise PortError(f"this machine has no address {self._host}: give another --host") from None
                if not port:
                    raise PortError(f"--host {self._host} is no address of this machine: {error}") from None
                return None
            return int(probe.getsockname()[1])


def _quiet_ports() -> Iterator[int]:
    """Ports, in any order, that no outgoing connection is given before a server listens there; then any."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    quiet = range(LOWEST, max(LOWEST, first_given))
    yield from random.sample(quiet, min(len(quiet), TRIES))
    yield 0
