"""The options of `zerofarm up` that say where the farm's broker is."""

from __future__ import annotations

from pathlib import Path

from spaces.errors import SpacesError
from spaces.farm.connection import redacted
from spaces_workers.broker.server_settings import Listen
from spaces_workers.joining.membership import joined_url
from spaces_workers.setup.ports import HIGHEST, INSIDE

OPTION = "--broker-at"


class BrokerAddressFault(SpacesError):
    """The options ask for a broker that there cannot be."""


def listen(given: str | Listen) -> Listen:
    """Read [HOST:]PORT, for typer. Raises BrokerAddressFault."""
    if isinstance(given, Listen):
        return given
    host, _, port = given.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) <= HIGHEST:
        raise BrokerAddressFault(f"{OPTION} must be HOST:PORT or a port from 1 to {HIGHEST}, got {given}")
    return Listen(host.strip("[]") or INSIDE, int(port))


def of_farm(url: str | None, listens: Listen | None, state_dir: Path) -> str | None:
    """The operator's broker, if the farm is to use one. Raises BrokerAddressFault for what contradicts itself."""
    if url and listens:
        raise BrokerAddressFault(
            f"{OPTION} is for the farm's own broker, and another is named by --redis-url or the environment. Give one"
        )
    if joined := joined_url(state_dir):
        raise BrokerAddressFault(
            f"this host has joined the farm of {redacted(joined)}, so {state_dir} is for its workers: start them by "
            "`zerofarm join`. For a farm of its own give another --state-dir"
        )
    return url
