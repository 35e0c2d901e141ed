"""HTTPS at the front door, in Caddy's JSON form. With it come HTTP/2 and one connection for all tabs of a browser.

Certificates are renewed by Caddy, which keeps them in the state directory.
"""

from __future__ import annotations

from spaces_workers.setup.ports import INSIDE
from spaces_workers.up.door.address import Door
from spaces_workers.up.door.proxying import Json
from spaces_workers.up.door.space_routes import CERTIFICATE


def server_options() -> Json:
    """Settings of a server that speaks HTTPS alone; plain requests at its port are told so by a redirect."""
    return {
        "tls_connection_policies": [{}],
        "listener_wrappers": [{"wrapper": "http_redirect"}, {"wrapper": "tls"}],
        "protocols": ["h1", "h2"],
    }


def apps(door: Door) -> Json:
    """The parts of Caddy that get certificates for a domain. The root of its own authority stays in its folder."""
    return {
        "tls": _internal(door) if door.certificates == "internal" else _public(door),
        "pki": {"certificate_authorities": {"local": {"name": "ZeroFarm", "install_trust": False}}},
    }


def _internal(door: Door) -> Json:
    every = [f"*.{door.domain}"] if door.spaces_at == "name" else []
    policies = [{"issuers": [{"module": "internal"}]}]
    return {"certificates": {"automate": [door.domain, *every]}, "automation": {"policies": policies}}


def _public(door: Door) -> Json:
    """The name of a Space gets its certificate at the first visit, if the farm says that there is such a Space.

    One for `*.DOMAIN` is given for a change of the domain's DNS records alone, which this build of Caddy cannot make.
    """
    automate = {"certificates": {"automate": [door.domain]}}
    if door.asking_port is None:
        return automate
    asking = {"module": "http", "endpoint": f"http://{INSIDE}:{door.asking_port}{CERTIFICATE}"}
    policies = [{"subjects": [door.domain]}, {"subjects": [f"*.{door.domain}"], "on_demand": True}]
    return automate | {"automation": {"policies": policies, "on_demand": {"permission": asking}}}
