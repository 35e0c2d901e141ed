"""Connects to the broker by its URL: every part of the farm accepts the same four forms.

`redis://` and `rediss://` reach a broker over TCP, `unix://` and `redis+socket://` a broker on this host. The last is
Celery's and kombu's form for a unix socket; redis-py does not know it, so it is translated here.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from spaces.errors import FarmUnavailable

if TYPE_CHECKING:
    from redis import Redis

SCHEMES = ("redis", "rediss", "unix", "redis+socket")

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
HEALTH_CHECK_INTERVAL = 25
RETRIES = 4

#: A connection over TCP ends as soon as the other host has not answered for 5 s: after a loss of power it has forgotten
#: the connection, and nobody would close it. The system of a host answers for a broker that is busy, or stopped.
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 5000))
    if hasattr(socket, name)
}


def connect(
    url: str,
    client: type[Redis] | None = None,
    **options: Any,  # any: the options of redis.Redis, which refuses unknown ones
) -> Redis:
    """Return a client of the broker at `url`. Nothing is sent before its first command.

    Answers are bytes. A broken connection is remade with growing pauses, for about a second; a command that *timed
    out* is not repeated, because the broker may have executed it. A blocking read must wait less than
    `READ_TIMEOUT`, or be given a longer `socket_timeout`. `options` are those of `redis.Redis`,
    or of another class of `client`.

        broker = connect("redis+socket:///run/zerofarm/broker.sock")
        broker.ping()

    Raises `FarmUnavailable` if the URL has no known form.
    """
    import redis
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.retry import Retry

    from spaces.farm.broker_errors import Parser

    settings: dict[str, Any] = {  # any: options of several types
        "decode_responses": False,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": READ_TIMEOUT,
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        "parser_class": Parser,
        "retry": Retry(
            ExponentialWithJitterBackoff(base=0.05, cap=0.5),
            RETRIES,
            supported_errors=(redis.ConnectionError,),
        ),
        **options,
    }
    address = as_redis_py(url)
    if not address.startswith("unix:"):
        settings |= {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE}
    return (client or redis.Redis).from_url(address, **settings)


def as_redis_py(url: str) -> str:
    """Return `url` in redis-py's form: `redis+socket:///path?virtual_host=2` as `unix:///path?db=2`."""
    if not url:
        raise FarmUnavailable("no broker is named: give its URL, as in redis://127.0.0.1:6379/0, or set $ZEROFARM_URL")
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        forms = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise FarmUnavailable(f"broker URL must begin with one of {forms}, got {redacted(url)!r}")
    if parts.scheme != "redis+socket":
        return url
    query = [("db" if name == "virtual_host" else name, value) for name, value in parse_qsl(parts.query)]
    address = f"unix://{parts.netloc}{parts.path}"
    return f"{address}?{urlencode(query)}" if query else address


def redacted(url: str) -> str:
    """Return `url` with its password masked, for messages and logs."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _password = login.partition(":")
    if not colon:
        return url
    return urlunsplit(parts._replace(netloc=f"{user}:***{at}{host}"))
