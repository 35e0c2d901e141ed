"""The address at which other hosts reach the farm's broker, as far as this host can tell."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from redis import ResponseError

from spaces.errors import SpacesError

if TYPE_CHECKING:
    from redis import Redis

#: In place of an address: all that the host has.
_EVERY = {"*", "0.0.0.0", "::", ""}


class NotOpen(SpacesError):
    """The broker cannot be reached from other hosts."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Where the broker is."""

    address: str  #: HOST:PORT, or a URL where that does not say all
    is_local: bool  #: this host alone reaches it


def address_of(url: str, redis: Redis) -> Reached:
    """Where other hosts reach the broker at `url`. Raises NotOpen for one that listens at a unix socket alone."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss"):
        raise NotOpen(
            "the broker of this farm listens at a socket of this host alone. Start it by `zerofarm up "
            "--broker-at ADDRESS:6379`, with the address of this host in a network that you trust"
        )
    host, is_local = _host(parts.hostname or "localhost", redis)
    place, database = joined(host, parts.port or 6379), parts.path.strip("/")
    plain = parts.scheme == "redis" and database in ("", "0")
    return Reached(place if plain else f"{parts.scheme}://{place}{parts.path}", is_local)


def _host(named: str, redis: Redis) -> tuple[str, bool]:
    """The host of the broker, and whether it is reached from here alone."""
    if not is_loopback(named):
        return named, False
    if not (addresses := _bound(redis)):
        return _own_address(), False
    others = [each for each in addresses if not is_loopback(each)]
    return (others[0], False) if others else (named, True)


def joined(host: str, port: int) -> str:
    """HOST:PORT, with brackets where IPv6 needs them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this host reaches the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(redis: Redis) -> list[str]:
    """The addresses that the broker listens at; empty if those are all, or if it does not tell."""
    with suppress(ResponseError):
        found = cast("dict[str, str]", redis.config_get("bind")).get("bind", "").split()
        addresses = [each.removeprefix("-") for each in found]
        return [] if _EVERY & {*addresses} else addresses
    return []


def _own_address() -> str:
    """The address of this host by which it would reach others; no packet is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return socket.gethostname()
