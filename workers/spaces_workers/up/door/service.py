"""How Caddy is started as the front door of a farm, and where it asks for Spaces."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

from spaces.farm import log_files
from spaces.farm.queue import settings
from spaces_workers.up.door.address import Door
from spaces_workers.up.door.caddy_config import configuration
from spaces_workers.up.process import Command

#: Where Caddy keeps what it stores: nothing of it lands in the home directory of the user.
_FOLDERS = ("XDG_DATA_HOME", "XDG_CONFIG_HOME")


def lookup_path(run_dir: Path, state_dir: Path) -> Path:
    """The socket at which the door asks for Spaces."""
    return _path(run_dir, state_dir, "lookup.sock")


def command(door: Door, run_dir: Path, state_dir: Path, ports: tuple[int, int | None]) -> Command:
    """Write Caddy's configuration, and return its command; `ports` are those of the home page and of Flower."""
    home, flower = ports
    sockets = (_path(run_dir, state_dir, "admin.sock"), lookup_path(run_dir, state_dir))
    proxies = settings.current().quota.trusted_proxies
    file = state_dir / "door.json"
    file.write_text(
        json.dumps(configuration(door, sockets=sockets, home=home, flower=flower, proxies=proxies), indent=1)
    )
    folders = dict.fromkeys(_FOLDERS, str(state_dir / "caddy"))
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(state_dir)} | folders
    return Command(
        [str(door.caddy), "run", "--config", str(file)],
        environment,
        log_files.of_process(state_dir, "door"),
    )


def _path(run_dir: Path, state_dir: Path, name: str) -> Path:
    """Farms of one user share the run directory; a socket's path must be short."""
    return run_dir / f"door-{sha256(str(state_dir).encode()).hexdigest()[:10]}-{name}"
