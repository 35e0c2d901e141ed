"""The files of the farm's own broker in the state directory, and which of them only the farm's user may read."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spaces_workers.setup.farm_key import kept


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """The files of the server of one state directory."""

    state_dir: Path

    @property
    def lock(self) -> Path:
        return self.state_dir / "broker.lock"

    @property
    def log(self) -> Path:
        return self.state_dir / "broker.log"

    @property
    def configuration(self) -> Path:
        return self.state_dir / "broker.conf"

    @property
    def url(self) -> Path:
        """The URL of the server that runs, with its password."""
        return self.state_dir / "broker.url"

    def password(self) -> str:
        """The password of the last start, or a new one at the first."""
        return kept(self.state_dir / "broker.password", secrets.token_urlsafe(32))

    def running_url(self) -> str | None:
        """The URL that the running server's starter wrote, or None."""
        with suppress(FileNotFoundError):
            return self.url.read_text() or None
        return None

    def remove_traces(self) -> None:
        """Remove the files that mean nothing once the server is gone; its data, log and password stay."""
        self.url.unlink(missing_ok=True)
        self.configuration.unlink(missing_ok=True)
