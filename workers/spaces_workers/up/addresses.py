"""The addresses by which this host reaches the servers that it runs."""

from __future__ import annotations


def local(host: str) -> str:
    """The address by which this host reaches a server that listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def url_of(host: str, port: int) -> str:
    """The URL by which this host reaches a page that is served at `host`."""
    name = local(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
