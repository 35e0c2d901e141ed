"""Admits readers of the metrics: programs of this host, and those that know the farm's token.

A proxy on this host, such as the farm's front door, says for whom it asks: programs behind it need the token.
"""

from __future__ import annotations

import hmac
import os
from ipaddress import ip_address
from pathlib import Path

from starlette.requests import Request

#: Headers by which a proxy says that it asks for somebody else.
FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


#: The token of `/metrics`, instead of the one in `metrics.token` in the state directory.
VARIABLE = "ZEROFARM_METRICS_TOKEN"


def read_token(state_dir: Path) -> str:
    """`$ZEROFARM_METRICS_TOKEN`, else the token that `zerofarm` keeps in the state directory, else none."""
    file = state_dir / "metrics.token"
    return os.environ.get(VARIABLE) or (file.read_text().strip() if file.is_file() else "")


def may_read(request: Request, token: str) -> bool:
    """Whether this request may be answered. Without a token, only this host may ask."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if token and kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return True
    return _is_loopback(request) and not any(name in request.headers for name in FORWARDED)


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False
