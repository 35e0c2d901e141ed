"""Handlers of Caddy that several routes of the door share, in its JSON form: https://caddyserver.com/docs/json/."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]  # Any: Caddy's

#: How long a request waits for a page that is being restarted.
PATIENCE = "30s"

_RETRY = {"try_duration": PATIENCE, "try_interval": "100ms"}

#: A Space without visitors has no connections: `zerofarm up` can tell.
_TRANSPORT = {"protocol": "http", "keep_alive": {"idle_timeout": "10s"}}


def proxied(dial: str) -> Json:
    """A proxy to one address. Caddy replaces X-Forwarded-For, -Proto and -Host itself; similar headers are removed."""
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": dial}],
        "transport": _TRANSPORT,
        "load_balancing": _RETRY,
        "flush_interval": -1,
        "headers": {"request": {"delete": ["X-Real-Ip", "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Port"]}},
    }


def nothing() -> Json:
    """There is no such page."""
    return {"handler": "static_response", "status_code": 404, "body": "There is no such page.\n"}
