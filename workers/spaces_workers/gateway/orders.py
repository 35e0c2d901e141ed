"""How the gateway is told which doors to have: by `zerofarm up`, whenever its Spaces change."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from spaces_workers.gateway.place import Gate, from_text, orders_of, to_text

#: Seconds in which a process of the farm sends its orders, or the gateway has carried them out.
PATIENCE = 5.0

_DONE = "done"


def tell(run_dir: Path, state_dir: Path, gates: Sequence[Gate]) -> None:
    """Have the gateway open these doors and no others. Raises OSError if it does not answer."""
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(orders_of(run_dir, state_dir)))
        sock.sendall(to_text(gates).encode())
        sock.shutdown(socket.SHUT_WR)
        if _all_of(sock) != _DONE:
            raise OSError("the gateway has not changed its doors; see logs/gateway.log in the state directory")


def heard(sock: socket.socket) -> list[Gate]:
    """The doors that somebody has told by `sock`. Raises OSError, ValueError and TypeError for something else."""
    sock.settimeout(PATIENCE)
    return from_text(_all_of(sock))


def confirm(sock: socket.socket) -> None:
    """Answer that they are open."""
    sock.sendall(_DONE.encode())


def _all_of(sock: socket.socket) -> str:
    pieces = []
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces).decode()
