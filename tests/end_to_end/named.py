"""For tests of farms whose Spaces are at NAME.DOMAIN: names below the domain lead to this host."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.end_to_end.test_up import Up
from tests.waiting import wait_until

#: A name that browsers find by themselves, and that is no name of this host.
DOMAIN = "farm.localhost"

#: With which `zerofarm up` serves Spaces at names below the domain.
BY_NAME = ("--domain", DOMAIN, "--certificates", "internal", "--spaces-at", "name")


@contextmanager
def visiting(farm: Up) -> Iterator[None]:
    """Programs of this process find these names, and trust the farm's own authority."""
    root = farm.state_dir / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    farm.ready()
    wait_until(root.exists)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", _finding(socket.getaddrinfo))
        patched.setenv("SSL_CERT_FILE", str(root))
        yield


def _finding(original: Any) -> Any:  # Any: socket's function, which has overloads
    def found(host: Any, *others: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        is_ours = name == DOMAIN or name.endswith(f".{DOMAIN}")
        return original("127.0.0.1" if is_ours else host, *others, **options)

    return found
