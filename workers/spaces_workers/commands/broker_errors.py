"""The error of commands whose broker does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis import RedisError

from spaces.errors import FarmUnavailable
from spaces.farm.connection import redacted


@contextmanager
def naming_broker(url: str) -> Iterator[None]:
    """Within this, errors of a broker that does not answer become a FarmUnavailable that names it."""
    try:
        yield
    except RedisError as error:
        raise FarmUnavailable(f"the broker at {redacted(url)} does not answer: {error}") from error
