"""The configuration of Caddy, in its JSON form: https://caddyserver.com/docs/json/.

Measured with Caddy 2.11: every change of the configuration in use ends websockets, and many in a row lose requests, so
this one is never changed. A path that no route matches would be answered by an empty 200.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spaces.servers.uvicorn_servers import HEADER_BYTES
from spaces_workers.setup.ports import INSIDE
from spaces_workers.up.door import https
from spaces_workers.up.door.address import FLOWER, OPERATOR, SPACES, Door

Json = dict[str, Any]  # Any: Caddy's

#: How long a request waits for a page that is being restarted.
PATIENCE = "30s"

_RETRY = {"try_duration": PATIENCE, "try_interval": "100ms"}

#: A Space without visitors has no connections: `zerofarm up` can tell.
_TRANSPORT = {"protocol": "http", "keep_alive": {"idle_timeout": "10s"}}

#: With these a Space could read other pages of this address: as their service worker, or through their window.
_NOT_OF_SPACES = ("Service-Worker-Allowed", "Cross-Origin-Opener-Policy")

#: What is at the other port where operators have one of their own: an origin is a scheme, a host and a port.
_OPERATORS = (OPERATOR, f"{OPERATOR}/*", FLOWER, f"{FLOWER}/*")
_VISITORS = ("/", SPACES, f"{SPACES}/*")

_AWAY = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Not yet</title></head><body style="font:16px system-ui,sans-serif;text-align:center;margin-top:30vh">
<h1 style="font-size:1.4rem">This page is being started</h1><p>It reloads by itself.</p></body></html>"""


def configuration(
    door: Door, *, sockets: tuple[Path, Path], home: int, flower: int | None, proxies: Sequence[str]
) -> Json:
    """The configuration of a door. `sockets` are Caddy's own and that of the lookup; ports are those of the pages.

    `proxies` are addresses and networks of proxies in front of the door, whose X-Forwarded headers it believes.
    """
    admin, lookup = sockets
    if door.operator_port is None:
        servers = {"door": _server(door, door.port, [_spaces(lookup), *_flower(flower), _home(home)], proxies)}
    else:
        outside = [_spaces(lookup), _moved(_OPERATORS, door.operator_port), _home(home)]
        inside = [_moved(_VISITORS, door.port), *_flower(flower), _home(home)]
        servers = {
            "door": _server(door, door.port, outside, proxies),
            "operators": _server(door, door.operator_port, inside, proxies),
        }
    apps = {"http": {"grace_period": "1s", "servers": servers}}
    return {
        "admin": {"listen": f"unix/{admin}|0600", "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN", "encoder": {"format": "console"}}}},
        "apps": apps | (https.apps(door.domain, door.certificates) if door.domain else {}),
    }


def _server(door: Door, port: int, routes: Sequence[Json], proxies: Sequence[str]) -> Json:
    server = {
        "listen": [f"[{door.host}]:{port}" if ":" in door.host else f"{door.host}:{port}"],
        "automatic_https": {"disable": True},
        "max_header_bytes": HEADER_BYTES,
        "routes": routes,
        "errors": {"routes": [_unreachable()]},
    }
    if door.domain:
        server |= https.server_options()
    if proxies:
        server["trusted_proxies"] = {"source": "static", "ranges": list(proxies)}
        server["trusted_proxies_strict"] = 1
    return server


def _moved(paths: Sequence[str], port: int) -> Json:
    """To the other port of the door: no page of a Space has an address with these."""
    url = f"{{http.request.scheme}}://{{http.request.host}}:{port}{{http.request.uri}}"
    there = {"handler": "static_response", "status_code": 302, "headers": {"Location": [url]}}
    return {"match": [{"path": list(paths)}], "terminal": True, "handle": [there]}


def _spaces(lookup: Path) -> Json:
    """Ask where the Space is; whatever is not a port is the visitor's answer."""
    port = {"handler": "vars", "space_port": "{http.reverse_proxy.header.X-Space-Port}"}
    asking = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"unix/{lookup}"}],
        "rewrite": {"method": "GET", "uri": "/lookup"},
        "headers": {
            "request": {
                "set": {
                    "X-Forwarded-Uri": ["{http.request.orig_uri}"],
                    "X-Forwarded-Method": ["{http.request.orig_method}"],
                },
                "delete": ["Connection", "Upgrade", "Content-Type", "Content-Encoding", "Authorization"],
            }
        },
        "handle_response": [{"match": {"status_code": [2]}, "routes": [{"handle": [port]}]}],
    }
    passing = _proxied(INSIDE + ":{http.vars.space_port}")
    passing["headers"]["response"] = {"delete": list(_NOT_OF_SPACES)}
    return {"match": [{"path": [SPACES, f"{SPACES}/*"]}], "terminal": True, "handle": [asking, passing]}


def _flower(port: int | None) -> list[Json]:
    if port is None:
        return [{"match": [{"path": [FLOWER, f"{FLOWER}/*"]}], "terminal": True, "handle": [_nothing()]}]
    bare = {"handler": "static_response", "status_code": 302, "headers": {"Location": [f"{FLOWER}/"]}}
    return [
        {"match": [{"path": [FLOWER]}], "terminal": True, "handle": [bare]},
        {"match": [{"path": [f"{FLOWER}/*"]}], "terminal": True, "handle": [_proxied(f"{INSIDE}:{port}")]},
    ]


def _home(port: int) -> Json:
    """Everything else is the home page's, which has a 404 of its own."""
    return {"handle": [_proxied(f"{INSIDE}:{port}")]}


def _proxied(dial: str) -> Json:
    """Caddy replaces what the visitor says of the way by X-Forwarded-For, -Proto and -Host; other names are removed."""
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": dial}],
        "transport": _TRANSPORT,
        "load_balancing": _RETRY,
        "flush_interval": -1,
        "headers": {"request": {"delete": ["X-Real-Ip", "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Port"]}},
    }


def _nothing() -> Json:
    return {"handler": "static_response", "status_code": 404, "body": "There is no such page.\n"}


def _unreachable() -> Json:
    headers = {"Content-Type": ["text/html; charset=utf-8"], "Retry-After": ["2"], "Cache-Control": ["no-store"]}
    away = {"handler": "static_response", "status_code": 503, "headers": headers, "body": _AWAY}
    return {"match": [{"vars": {"{http.error.status_code}": ["502", "503", "504"]}}], "handle": [away]}
