"""Where the gateway of a farm listens: each served page's socket is in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from hashlib import sha256
from pathlib import Path

from spaces.farm.links.gateway_address import SCHEME

#: The gates of a gateway at its start, as JSON. A command line would show them to every process of the host.
GATES = "ZEROFARM_GATES"


@dataclass(frozen=True, slots=True)
class Gate:
    """One page, as the gateway is told of it."""

    page: str  #: its name: that of the Space, or of one of its revisions
    space: str
    uid: int  #: of the processes that may connect
    app_file: str = ""  #: the script of its Space, if this host has it
    serves: bool = True  #: visitors get it; False: it is being tried, or is left to those who came before


def to_text(gates: Iterable[Gate]) -> str:
    """Gates as JSON."""
    return json.dumps([astuple(gate) for gate in gates])


def from_text(text: str) -> list[Gate]:
    """The gates of a text of `to_text`."""
    return [Gate(*each) for each in json.loads(text)]


def socket_of(run_dir: Path, state_dir: Path, page: str) -> Path:
    """The socket of a page; farms of one user share the run directory. A socket's path must be short."""
    return _folder(run_dir, state_dir) / sha256(page.encode()).hexdigest()[:8] / "s"


def orders_of(run_dir: Path, state_dir: Path) -> Path:
    """The socket at which the gateway is told that its gates have changed."""
    return _folder(run_dir, state_dir) / "orders"


def address_of(run_dir: Path, state_dir: Path, page: str) -> str:
    """The address that a page is given instead of the broker's."""
    return f"{SCHEME}://{socket_of(run_dir, state_dir, page)}"


def _folder(run_dir: Path, state_dir: Path) -> Path:
    return run_dir / f"gate-{sha256(bytes(state_dir.resolve())).hexdigest()[:8]}"
