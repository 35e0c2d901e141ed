"""HTTPS at the front door, in Caddy's JSON form. With it come HTTP/2 and one connection for all tabs of a browser.

Certificates are renewed by Caddy, which keeps them in the state directory.
"""

from __future__ import annotations

from typing import Any, Literal

Json = dict[str, Any]  # Any: Caddy's

#: Who signs certificates: a public authority that Caddy asks (ACME), or one that Caddy makes for this farm alone.
Certificates = Literal["public", "internal"]

_INTERNAL = {"automation": {"policies": [{"issuers": [{"module": "internal"}]}]}}


def server_options() -> Json:
    """Of a server that speaks HTTPS alone; plain requests at its port are told so by a redirect."""
    return {
        "tls_connection_policies": [{}],
        "listener_wrappers": [{"wrapper": "http_redirect"}, {"wrapper": "tls"}],
        "protocols": ["h1", "h2"],
    }


def apps(domain: str, certificates: Certificates) -> Json:
    """The parts of Caddy that get certificates for a domain. The root of its own authority stays in its folder."""
    return {
        "tls": {"certificates": {"automate": [domain]}} | (_INTERNAL if certificates == "internal" else {}),
        "pki": {"certificate_authorities": {"local": {"name": "ZeroFarm", "install_trust": False}}},
    }
