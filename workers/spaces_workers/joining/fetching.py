"""How a host that joins fetches its ticket from the farm's broker, and why it may not get one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from redis import AuthenticationError, RedisError, ResponseError

from spaces.errors import FarmUnavailable, RefusedError
from spaces.farm.connection import connect
from spaces.farm.queue.keys import Keys
from spaces.farm.version import check_version
from spaces_workers.joining.address import joined
from spaces_workers.joining.join_token import NEW_ONE, JoinToken
from spaces_workers.joining.ticket import Ticket, opened

PORT = 6379


def place_of(address: str) -> str:
    """The URL of a broker, without a login, for HOST, HOST:PORT or a URL. Raises RefusedError."""
    try:
        parts = urlsplit(address if "://" in address else f"redis://{address}")
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        raise _no_address(address) from None
    if parts.scheme not in ("redis", "rediss") or not host or parts.username or parts.password:
        raise _no_address(address)
    return urlunsplit(parts._replace(netloc=joined(host, port)))


def _no_address(address: str) -> RefusedError:
    return RefusedError(
        "the address of a farm is that of its broker, HOST:PORT or rediss://HOST:PORT without a login, as "
        f"`zerofarm token worker` prints it. Got one with {len(address)} characters that is not"
    )


def with_login(place: str, login: str) -> str:
    """The URL of a broker with a login."""
    parts = urlsplit(place)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


def fetch(place: str, token: JoinToken) -> Ticket:
    """Take the ticket of a token, which is used then. Raises RefusedError, FarmUnavailable."""
    check_version(f"the farm at {_shown(place)}", token.version)
    url = with_login(place, f"{token.user}:{token.password}")
    with _telling(place, token), connect(url, retry=None) as redis:
        sealed = cast("bytes | None", redis.getdel(Keys().invitation(token.id)))
    if sealed is None:
        raise RefusedError(f"token {token.id} was used, was revoked, or has expired at {_shown(place)}. {NEW_ONE}")
    return opened(sealed, token)


@contextmanager
def _telling(place: str, token: JoinToken) -> Iterator[None]:
    try:
        yield
    except AuthenticationError:
        raise RefusedError(
            f"the farm at {_shown(place)} does not know token {token.id}: it is of another farm, was used or revoked, "
            f"has expired, or is older than the broker's last start. {NEW_ONE}"
        ) from None
    except ResponseError as error:
        raise FarmUnavailable(f"the broker at {_shown(place)} refuses token {token.id}: {error}. {NEW_ONE}") from None
    except (RedisError, OSError) as error:
        raise FarmUnavailable(
            f"no broker answers at {_shown(place)} to this host, {socket.gethostname()}: {error}. If the farm runs, "
            "its broker listens elsewhere, perhaps for its own host alone: start the farm by `zerofarm up --broker-at "
            "ADDRESS:6379`, or lead its port here by `ssh -N -L 6379:127.0.0.1:6379 FARM` and join 127.0.0.1:6379"
        ) from None


def _shown(place: str) -> str:
    return urlsplit(place).netloc
