"""How requests come to Spaces, in Caddy's JSON form: it asks `zerofarm up` where the page is, for each request."""

from __future__ import annotations

from pathlib import Path

from spaces_workers.setup.ports import INSIDE
from spaces_workers.up.door.address import SPACES
from spaces_workers.up.door.proxying import Json, nothing, proxied

#: Paths of the lookup: where is this Space, and is there one by this name.
LOOKUP, CERTIFICATE = "/lookup", "/certificate"

#: The header that tells the lookup the host name of a request; empty for a request by path.
HOST = "X-Space-Host"

#: The headers of its answer: the port of the page, and the prefix of the page's path that the request's path lacks.
PORT, ABOVE = "X-Space-Port", "X-Space-Above"

#: Headers with which a Space could read other pages of this address: as their service worker, or through their window.
_NOT_OF_SPACES = ("Service-Worker-Allowed", "Cross-Origin-Opener-Policy")


def by_path(lookup: Path) -> Json:
    """Spaces at /spaces/NAME/, at the address of other pages."""
    passing = _page()
    passing["headers"]["response"] = {"delete": list(_NOT_OF_SPACES)}
    handle = [_asked(lookup, ""), passing]
    return {"match": [{"path": [SPACES, f"{SPACES}/*"]}], "terminal": True, "handle": handle}


def by_name(lookup: Path, domain: str) -> Json:
    """Spaces at NAME.DOMAIN, each with an origin of its own. Its page gets the paths that it gets at /spaces/NAME/.

    The prefix is added by a regular expression, because other rewrites of a path decode %2F.
    """
    whole = {"handler": "rewrite", "path_regexp": [{"find": "^", "replace": "{http.vars.space_above}"}]}
    handle = [_asked(lookup, "{http.request.host}"), whole, _page()]
    return {"match": [{"host": [f"*.{domain}"]}], "terminal": True, "handle": handle}


def certificates(lookup: Path, port: int) -> Json:
    """A server for Caddy itself, which asks by HTTP whether a name may have a certificate."""
    asked = {"handler": "reverse_proxy", "upstreams": [{"dial": f"unix/{lookup}"}]}
    routes = [{"match": [{"path": [CERTIFICATE]}], "terminal": True, "handle": [asked]}, {"handle": [nothing()]}]
    return {"listen": [f"{INSIDE}:{port}"], "automatic_https": {"disable": True}, "routes": routes}


def _page() -> Json:
    return proxied(INSIDE + ":{http.vars.space_port}")


def _asked(lookup: Path, host: str) -> Json:
    """Ask where the Space is; an answer without a port goes to the visitor. `host` replaces the visitor's header."""
    told = {
        "X-Forwarded-Uri": "{http.request.orig_uri}",
        "X-Forwarded-Method": "{http.request.orig_method}",
        HOST: host,
    }
    removed = ["Connection", "Upgrade", "Content-Type", "Content-Encoding", "Authorization"]
    found = {
        "handler": "vars",
        "space_port": f"{{http.reverse_proxy.header.{PORT}}}",
        "space_above": f"{{http.reverse_proxy.header.{ABOVE}}}",
    }
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"unix/{lookup}"}],
        "rewrite": {"method": "GET", "uri": LOOKUP},
        "headers": {"request": {"set": {name: [value] for name, value in told.items()}, "delete": removed}},
        "handle_response": [{"match": {"status_code": [2]}, "routes": [{"handle": [found]}]}],
    }
