"""Keeps scripts of Spaces out of Flower: the front door shows Spaces at its address, and browsers have its password.

The home page guards the operator's page in the same way (`home/operator/guard.py`): Flower's pages are given to
navigations alone, and never to a frame or a window that another page can read; every other request of a browser must
have the token that stands in those pages. Programs have Flower's password and are let in.
"""

from __future__ import annotations

import hmac
import secrets

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform, RequestHandler

#: By which Flower's pages name their token.
TOKEN = "X-Farm-Token"

#: For all answers.
HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

#: Below Flower's prefix, what is the same for everybody.
_OPEN = ("/static/", "/healthcheck")


class Wall:
    """Tells Flower's own requests from those of other pages, as far as the browser does."""

    def __init__(self, prefix: str) -> None:
        self._key = secrets.token_bytes(32)
        path = f"/{prefix.strip('/')}" if prefix else ""
        self._open = tuple(f"{path}{each}" for each in _OPEN)

    def lets_in(self, request: HTTPServerRequest) -> bool:
        """Whether Flower shall answer. Browsers say what asks by Sec-Fetch headers, which no script can set."""
        mode = request.headers.get("Sec-Fetch-Mode")
        if mode is None or request.path.startswith(self._open):
            return True
        if mode == "navigate":
            return request.headers.get("Sec-Fetch-Dest") == "document" and request.method == "GET"
        return hmac.compare_digest(request.headers.get(TOKEN, "").encode(), self.token(request).encode())

    def token(self, request: HTTPServerRequest) -> str:
        """The token of whoever has this login: Flower shows some pages to those who have none."""
        user = request.cookies["user"].value if "user" in request.cookies else ""
        login = f"{request.headers.get('Authorization', '')} {user}"
        return hmac.digest(self._key, login.encode(), "sha256").hex()


class Refused(RequestHandler):
    """The answer to other requests."""

    def prepare(self) -> None:
        self.set_status(403)
        self.finish("This request does not come from a page of Flower\n")


class Walled(OutputTransform):
    """Adds HEADERS."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers.update(HEADERS)
        return status_code, headers, chunk
