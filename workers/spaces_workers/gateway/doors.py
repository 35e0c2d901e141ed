"""The doors of a gateway, which come and go as Spaces do. `zerofarm up` tells which there are, by `orders`."""

from __future__ import annotations

import logging
import socket
from contextlib import closing
from pathlib import Path

from spaces_workers.gateway import orders
from spaces_workers.gateway.admission import ByPlace
from spaces_workers.gateway.place import Gate, orders_of, socket_of
from spaces_workers.gateway.server import Door, Gateway, listen_for, remove
from spaces_workers.gateway.tenant import Tenant
from spaces_workers.link.listener import accept, listen

logger = logging.getLogger(__name__)


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
        path = orders_of(self._run_dir, self._state_dir)
        path.parent.mkdir(parents=True, exist_ok=True)  # a farm without Spaces has no door yet
        self._gateway.watch(listen(path), self._hear)

    def _hear(self, listener: socket.socket) -> None:
        sock = accept(listener)
        if sock is None:
            return
        with closing(sock):
            try:
                self.set(orders.heard(sock))
                orders.confirm(sock)
            except (OSError, ValueError, TypeError) as error:
                logger.warning("orders were not carried out: %s", error)


def _tenant(gate: Gate) -> Tenant:
    return Tenant(gate.space, Path(gate.app_file) if gate.app_file else None, gate.serves)
