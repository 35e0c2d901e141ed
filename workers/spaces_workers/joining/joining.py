"""A host joins a farm: it fetches the ticket of its token and keeps it, then takes a name that no other host has."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from spaces import config
from spaces.errors import FarmUnavailable, RefusedError
from spaces.farm.connection import connect, redacted
from spaces.farm.queue.control.audit import Action, Audit, this_user
from spaces.farm.queue.queue import Queue
from spaces_workers.gpu.claim import workers_here
from spaces_workers.joining import membership
from spaces_workers.joining.fetching import fetch, place_of, with_login
from spaces_workers.joining.join_token import JoinToken
from spaces_workers.joining.login import checked_login

#: Seconds between two looks at a worker of the same host's name, which may have ended just now.
INTERVAL = 0.2


def join_farm(address: str, token: JoinToken, state_dir: Path) -> str:
    """Join the farm at an address; returns a sentence for the operator. Raises RefusedError, FarmUnavailable."""
    place, host = place_of(address), config.current().host
    membership.check_key(state_dir, token.fingerprint)
    ticket = fetch(place, token)
    url = with_login(place, ticket.login)
    membership.keep(state_dir, url, ticket.key)  # at once: the token is used, whatever fails after this
    with checked_login(url), connect(url, retry=None) as redis:
        Audit(redis).note(Action(this_user(), "join", host, f"with token {token.id}"))
    return f"{host} has joined the farm of {redacted(url)}. {state_dir} has all that its workers need, without a token"


def take_name(url: str, state_dir: Path, run_dir: Path) -> None:
    """Keep this host's name for its next starts, unless another host of the farm has it. Raises RefusedError.

    A broker that is away, or refuses the login, is left to the workers: they wait for it, or say so.
    """
    host = config.current().host
    with suppress(FarmUnavailable), checked_login(url), connect(url, retry=None) as redis:
        _check_name(Queue(redis), host, run_dir)
    membership.keep_name(state_dir, host)


def _check_name(queue: Queue, host: str, run_dir: Path) -> None:
    """Workers of one host read each other's files, so no two hosts may have one name. Raises RefusedError."""
    deadline = time.monotonic() + queue.rules.worker_lease + 1
    while others := _of_name(queue, host) - {*workers_here(run_dir)}:
        if time.monotonic() > deadline:
            raise RefusedError(
                f"the farm has the worker {min(others)}@{host}, which does not run here, and this host is called "
                f"{host} too. Set ${config.HOST} here to a name that no other host of the farm has. Then type "
                "`zerofarm join`: it needs no token again"
            )
        time.sleep(INTERVAL)


def _of_name(queue: Queue, host: str) -> set[str]:
    infos = queue.leases.workers().values()
    return {str(info["node"]).partition("@")[0] for info in infos if info.get("host") == host and "node" in info}
