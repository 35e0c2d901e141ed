"""Logging in and out of the operator's page."""

from __future__ import annotations

import asyncio
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from spaces_app.home.operator.accounts import Accounts
from spaces_app.home.operator.attempts import Attempts
from spaces_app.home.operator.guard import HEADERS, Guard, is_navigation, is_own

if TYPE_CHECKING:
    from spaces_app.home.operator.openid.provider import Provider

#: Bytes of a form; a longer one is no login.
LONGEST = 4096

_WRONG = "This name or password is wrong."


def login_pages(accounts: Accounts, guard: Guard, folder: Path, provider: Provider | None = None) -> APIRouter:
    """`/farm/login` and `/farm/logout`; `folder` has the page, which offers the provider too if there is one."""
    router, attempts, one_at_a_time = APIRouter(), Attempts(), asyncio.Lock()
    text = (folder / "login.html").read_text().replace("{provider}", _offer(provider))

    def page(problem: str = "", status: int = 200, notice: str = "") -> HTMLResponse:
        filled = text.replace("{problem}", escape(problem)).replace("{notice}", notice)
        return HTMLResponse(filled, status, HEADERS)

    @router.get("/farm/login")
    async def form(request: Request) -> Response:
        if not is_navigation(request):
            return Response(status_code=403)
        left = request.session.pop("left", None)
        notice = await _farewell(provider, request) if left and provider else ""
        return page(request.session.pop("problem", ""), notice=notice)

    @router.post("/farm/login")
    async def log_in(request: Request) -> Response:
        if not (is_own(request) and is_navigation(request)):
            raise HTTPException(403, "This request does not come from the page of the login")
        name, password = await _name_and_password(request)
        address = request.client.host if request.client else ""
        async with one_at_a_time:
            if wait := attempts.wait_of(address):
                return page(f"Too many wrong passwords. Try again in {wait:.0f} seconds.", 429)
            operator = await asyncio.to_thread(accounts.verified, name, password)
            if operator is None:
                attempts.failed(address)
                return page(_WRONG, 401)
        guard.log_in(request, operator)
        return RedirectResponse("../farm", 303)

    @router.post("/farm/logout")
    def log_out(request: Request) -> Response:
        operator = guard.leaver(request).operator
        guard.log_out(request)
        if operator.alias is not None:
            request.session["left"] = True
        return Response(status_code=204)

    return router


def _offer(provider: Provider | None) -> str:
    if provider is None:
        return ""
    title = escape(provider.rules.title)
    return f'<a class="main" href="login/provider">Log in with {title}</a><p class="quiet">or with a password:</p>'


async def _farewell(provider: Provider, request: Request) -> str:
    """Offer to log out at the provider, which would let this browser in again without a password."""
    title, url = escape(provider.rules.title), await provider.farewell(request)
    way = f'<a href="{escape(url)}">Log out there too</a>' if url else "Log out there too, if others use this browser"
    return f"You are logged out here, and still logged in at {title}. {way}."


async def _name_and_password(request: Request) -> tuple[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise HTTPException(413)
    form = parse_qs(body.decode(errors="replace"))
    return form.get("name", [""])[0], form.get("password", [""])[0]
