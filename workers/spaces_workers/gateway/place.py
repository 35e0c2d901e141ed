"""Where the gateway of a farm listens: each Space's socket is in a folder of its own."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from spaces.farm.links.gateway_address import SCHEME

#: The variable that names the Spaces of a gateway: a JSON list of name, user and script of each. A command line would
#: show them to every process of the host.
GATES = "ZEROFARM_GATES"


def socket_of(run_dir: Path, state_dir: Path, space: str) -> Path:
    """The socket of a Space's page; farms of one user share the run directory. A socket's path must be short."""
    farm = sha256(bytes(state_dir.resolve())).hexdigest()[:8]
    return run_dir / f"gate-{farm}" / sha256(space.encode()).hexdigest()[:8] / "s"


def address_of(run_dir: Path, state_dir: Path, space: str) -> str:
    """The address that a Space's page is given instead of the broker's."""
    return f"{SCHEME}://{socket_of(run_dir, state_dir, space)}"
