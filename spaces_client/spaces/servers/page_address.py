"""The operator's address for this Space, and which of the Space's servers has it: the page.

One server is the page: the first that asks, until it ends. Every other server keeps the port that it asks for.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

#: The port of a Space's page on the Hub, whatever other servers the Space has.
PUBLIC_PORT = 7860

_page: object = None
_has_ended: Callable[[], bool] = bool


def given() -> tuple[str, int] | None:
    """The host and port that the operator gave the page; None in a zygote, and without a farm."""
    port = os.environ.get("GRADIO_SERVER_PORT")
    return (os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), int(port)) if port else None


def root_path() -> str:
    """The path at which the operator's reverse proxy shows the page; empty: there is no proxy."""
    return os.environ.get("GRADIO_ROOT_PATH", "")


def take(server: object, has_ended: Callable[[], bool]) -> bool:
    """Make `server` the page unless another server is. Returns whether it is the page now."""
    global _page, _has_ended
    if is_free() or _page is server:
        _page, _has_ended = server, has_ended
    return _page is server


def is_free() -> bool:
    """Whether no server is the page now."""
    return _page is None or _has_ended()


def is_public(port: int | None) -> bool:
    """Whether a script that asks for this port means the page."""
    address = given()
    return port == PUBLIC_PORT or (address is not None and port == address[1])


def free_port(host: str) -> int:
    """A port that no server of this host listens at."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
