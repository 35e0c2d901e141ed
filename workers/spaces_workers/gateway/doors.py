"""The doors of a gateway, which come and go as Spaces do. `zerofarm up` tells which there are, by `tell`."""

from __future__ import annotations

import logging
import socket
from contextlib import closing, suppress
from pathlib import Path

from spaces_workers.gateway.admission import ByPlace
from spaces_workers.gateway.place import Gate, from_text, orders_of, socket_of, to_text
from spaces_workers.gateway.server import Door, Gateway, listen_for, remove
from spaces_workers.gateway.tenant import Tenant
from spaces_workers.link.listener import accept, listen

logger = logging.getLogger(__name__)

#: Seconds in which a process of the farm sends its orders, or the gateway has carried them out.
PATIENCE = 5.0


class Doors:
    """Opens and closes the doors of one gateway. Use it on the thread that serves."""

    def __init__(self, gateway: Gateway, run_dir: Path, state_dir: Path) -> None:
        self._gateway = gateway
        self._run_dir = run_dir
        self._state_dir = state_dir
        self._open: dict[str, tuple[Gate, Door]] = {}

    def set(self, gates: list[Gate]) -> None:
        """Have these doors and no others. Connections that were accepted go on."""
        wanted = {gate.page: gate for gate in gates}
        for page in self._open.keys() - wanted.keys():
            self._gateway.drop(self._open.pop(page)[1])
            remove(socket_of(self._run_dir, self._state_dir, page))
        for page, gate in wanted.items():
            if page not in self._open:
                path = socket_of(self._run_dir, self._state_dir, page)
                door = listen_for(page, path, gate.uid, _tenant(gate))
                self._gateway.add(door)
            else:
                before, door = self._open[page]
                if before != gate:
                    door.admission = ByPlace(_tenant(gate))
            self._open[page] = gate, door

    def take_orders(self) -> None:
        """Listen for changes."""
        self._gateway.watch(listen(orders_of(self._run_dir, self._state_dir)), self._hear)

    def _hear(self, listener: socket.socket) -> None:
        sock = accept(listener)
        if sock is None:
            return
        with closing(sock):
            sock.settimeout(PATIENCE)
            try:
                self.set(from_text(_all_of(sock)))
                sock.sendall(b"done")
            except (OSError, ValueError, TypeError) as error:
                logger.warning("orders were not carried out: %s", error)


def tell(run_dir: Path, state_dir: Path, gates: list[Gate]) -> None:
    """Have the gateway open these doors and no others. Raises OSError if it does not answer."""
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(orders_of(run_dir, state_dir)))
        sock.sendall(to_text(gates).encode())
        sock.shutdown(socket.SHUT_WR)
        if _all_of(sock) != "done":
            raise OSError("the gateway has not changed its doors; see logs/gateway.log in the state directory")


def _tenant(gate: Gate) -> Tenant:
    return Tenant(gate.space, Path(gate.app_file) if gate.app_file else None, gate.serves)


def _all_of(sock: socket.socket) -> str:
    pieces = []
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces).decode()
