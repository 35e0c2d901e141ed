"""The configuration of Caddy, in its JSON form: https://caddyserver.com/docs/json/.

Measured with Caddy 2.11: every change of the configuration in use ends websockets, and many in a row lose requests, so
this one is never changed. A path that no route matches would be answered by an empty 200.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spaces.servers.uvicorn_servers import HEADER_BYTES
from spaces_workers.setup.ports import INSIDE
from spaces_workers.up.door import https
from spaces_workers.up.door.address import FLOWER, OPERATOR, SPACES, Door
from spaces_workers.up.door.proxying import Json, nothing, proxied
from spaces_workers.up.door.space_routes import by_name, by_path, certificates

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
    spaces = [by_name(lookup, door.domain)] if door.spaces_at == "name" else []
    spaces += [by_path(lookup)]
    if door.operator_port is None:
        servers = {"door": _server(door, door.port, [*spaces, *_flower(flower), _home(home)], proxies)}
    else:
        outside = [*spaces, _moved(_OPERATORS, door.operator_port), _home(home)]
        inside = [_moved(_VISITORS, door.port), *_flower(flower), _home(home)]
        servers = {
            "door": _server(door, door.port, outside, proxies),
            "operators": _server(door, door.operator_port, inside, proxies),
        }
    if door.asking_port is not None:
        servers["certificates"] = certificates(lookup, door.asking_port)
    apps = {"http": {"grace_period": "1s", "servers": servers}}
    return {
        "admin": {"listen": f"unix/{admin}|0600", "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN", "encoder": {"format": "console"}}}},
        "apps": apps | (https.apps(door) if door.domain else {}),
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


def _flower(port: int | None) -> list[Json]:
    if port is None:
        return [{"match": [{"path": [FLOWER, f"{FLOWER}/*"]}], "terminal": True, "handle": [nothing()]}]
    bare = {"handler": "static_response", "status_code": 302, "headers": {"Location": [f"{FLOWER}/"]}}
    return [
        {"match": [{"path": [FLOWER]}], "terminal": True, "handle": [bare]},
        {"match": [{"path": [f"{FLOWER}/*"]}], "terminal": True, "handle": [proxied(f"{INSIDE}:{port}")]},
    ]


def _home(port: int) -> Json:
    """Everything else is the home page's, which has a 404 of its own."""
    return {"handle": [proxied(f"{INSIDE}:{port}")]}


def _unreachable() -> Json:
    headers = {"Content-Type": ["text/html; charset=utf-8"], "Retry-After": ["2"], "Cache-Control": ["no-store"]}
    away = {"handler": "static_response", "status_code": 503, "headers": headers, "body": _AWAY}
    return {"match": [{"vars": {"{http.error.status_code}": ["502", "503", "504"]}}], "handle": [away]}
