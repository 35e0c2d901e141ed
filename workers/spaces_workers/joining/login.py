"""Whether the broker takes the login of a worker: an error names both sides and the remedy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from redis import AuthenticationError, RedisError, ResponseError
from redis.exceptions import NoPermissionError

from spaces.errors import FarmUnavailable
from spaces.farm.connection import redacted
from spaces_workers.joining.join_token import NEW_ONE


class BrokerLoginRefused(FarmUnavailable):
    """The broker does not know the user or the password of its URL."""


@contextmanager
def checked_login(url: str) -> Iterator[None]:
    """Within this, errors of the broker name it and this host. Raises BrokerLoginRefused, FarmUnavailable."""
    try:
        yield
    except (AuthenticationError, NoPermissionError) as error:
        raise refused(url, error) from None
    except (RedisError, OSError) as error:
        raise FarmUnavailable(
            f"the broker at {redacted(url)} does not answer to this host, {socket.gethostname()}: {error}"
        ) from None


def refused(url: str, error: ResponseError | AuthenticationError) -> BrokerLoginRefused:
    """The error of a login that the broker refuses."""
    return BrokerLoginRefused(
        f"the broker at {redacted(url)} refuses the login of this host, {socket.gethostname()}: {error}. The farm has "
        f"another password: correct the URL, or join again. {NEW_ONE}"
    )
