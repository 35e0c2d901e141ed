"""The address of a gateway: `gateway:///path/of/socket` on this host, `gateway://host:port` from others."""

from __future__ import annotations

import socket
from urllib.parse import SplitResult, urlsplit

from spaces.errors import RefusedError

SCHEME = "gateway"

#: The port that `zerofarm gateway` listens at unless told otherwise.
PORT = 7870

CONNECT_TIMEOUT = 5.0

#: Seconds without an answer of the other host, after which a connection counts as broken.
SILENCE = 20


def at(host: str, port: int) -> str:
    """The address of a gateway that other hosts reach."""
    return f"{SCHEME}://[{host}]:{port}" if ":" in host else f"{SCHEME}://{host}:{port}"


def is_gateway(address: str) -> bool:
    """Whether an address is that of a gateway, and not of a broker."""
    return address.startswith(f"{SCHEME}://")


def check(address: str) -> None:
    """Raise RefusedError for an address that no gateway can have."""
    try:
        _host_and_port(urlsplit(address))
    except ValueError as error:
        raise RefusedError(f"a gateway's address is gateway://HOST:PORT, got {address!r}: {error}") from None


def connected(address: str) -> socket.socket:
    """A connection to a gateway. Raises OSError."""
    parts = urlsplit(address)
    if parts.netloc:
        sock = socket.create_connection(_host_and_port(parts), CONNECT_TIMEOUT)
        sock.settimeout(None)
        watch(sock)
        return sock
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(parts.path)
    except OSError:
        sock.close()
        raise
    return sock


def watch(sock: socket.socket) -> None:
    """Let a connection break when the other host is gone, and send what is small at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE // 2)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENCE // 4)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "localhost", parts.port or PORT
