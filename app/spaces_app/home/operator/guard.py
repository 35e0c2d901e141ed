"""Finds the operator who makes a request, and whether it comes from the operator's page itself.

The front door shows Spaces at the same address, and their scripts must not act for an operator who visits one. So the
page, with its token, is given to a navigation alone, never to a script, and never to a frame or a window that another
page can read (`HEADERS`). Every other request must have that token. The door takes from Spaces the headers by which
they could get around this (`up/door/caddy_config.py`).
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException, Request

from spaces.farm.queue.settings_file.login_table import LONGEST_SESSION
from spaces_app.home.operator.accounts import Accounts, Operator
from spaces_app.home.operator.logged_out import LoggedOut

#: For the page itself.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

#: By which the page names its token; events cannot have headers, and name it in the query.
TOKEN = "x-farm-token"


@dataclass(frozen=True, slots=True)
class Session:
    """An operator who is logged in."""

    operator: Operator
    token: str


class Guard:
    """Finds the operator of a request, by the signed cookie of a session.

    `provided` is the mark of those who come by the provider; empty if there is none.
    """

    def __init__(self, accounts: Accounts, logged_out: LoggedOut, provided: str = "") -> None:
        self._accounts = accounts
        self._logged_out = logged_out
        self._provided = provided

    def log_in(self, request: Request, operator: Operator, lasting: float = LONGEST_SESSION) -> None:
        """Begin a session, of so many seconds."""
        request.session.clear()
        request.session.update(
            name=operator.name, mark=operator.mark, token=secrets.token_urlsafe(24), until=time.time() + lasting
        )
        if operator.alias is not None:
            request.session.update(role=operator.role, alias=operator.alias)

    def log_out(self, request: Request) -> None:
        """End the session, also for a copy of its cookie."""
        self._logged_out.add(str(request.session["token"]), float(request.session["until"]))
        request.session.clear()

    def session(self, request: Request) -> Session | None:
        """The session; none if it was ended, or its account has gone or has another password by now."""
        found = self._lasting(request)
        return found if found is not None and time.time() <= request.session["until"] else None

    def may_come_again(self, request: Request) -> bool:
        """Whether to ask the provider again: nothing but its time has ended a session that began there."""
        return "alias" in request.session and self._lasting(request) is not None

    def _lasting(self, request: Request) -> Session | None:
        """The session, also if its time is over."""
        found = request.session
        operator = self._provided_operator(found) if "alias" in found else self._accounts.find(found.get("name", ""))
        if operator is None or operator.mark != found.get("mark") or self._logged_out.has(str(found["token"])):
            return None
        return Session(operator, str(found["token"]))

    def _provided_operator(self, session: dict[str, Any]) -> Operator | None:  # Any: JSON, which the farm has signed
        if not self._provided:
            return None
        return Operator(session["name"], session["role"], self._provided, session["alias"])

    def viewer(self, request: Request) -> Session:
        """The session of a request that the page itself makes. Raises HTTPException."""
        return _checked(request, self.session(request))

    def leaver(self, request: Request) -> Session:
        """The session that such a request ends, also if its time is over. Raises HTTPException."""
        return _checked(request, self._lasting(request))

    def operator(self, request: Request) -> Session:
        """The same, of somebody who may act."""
        session = self.viewer(request)
        if not session.operator.may_act:
            raise HTTPException(403, f"{session.operator.name} may look at the farm, not change it")
        return session


def _checked(request: Request, session: Session | None) -> Session:
    if session is None:
        raise HTTPException(401, "Log in again")
    given = request.headers.get(TOKEN) or request.query_params.get("token", "")
    if not is_own(request) or not hmac.compare_digest(given.encode(), session.token.encode()):
        raise HTTPException(403, "This request does not come from the operator's page")
    return session


def is_navigation(request: Request) -> bool:
    """Whether a browser opens a page of its own, as far as it says so: neither a script nor a frame asks."""
    mode, target = (request.headers.get(f"sec-fetch-{name}") for name in ("mode", "dest"))
    return mode in (None, "navigate") and target in (None, "document")


def is_own(request: Request) -> bool:
    """Whether a request comes from a page of this very address, as far as the browser says so."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site == "same-origin"
    return origin is None or origin.partition("://")[2] == request.headers["host"]
