"""Logging in and out of the operator's page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from spaces_app.home.operator.accounts import Accounts
from spaces_app.home.operator.attempts import Attempts
from spaces_app.home.operator.guard import HEADERS, Guard, is_navigation, is_own

#: Bytes of a form; a longer one is no login.
LONGEST = 4096

_WRONG = "This name or password is wrong."


def login_pages(accounts: Accounts, guard: Guard, folder: Path) -> APIRouter:
    """`/farm/login` and `/farm/logout`; `folder` has the page."""
    router, attempts, one_at_a_time = APIRouter(), Attempts(), asyncio.Lock()
    text = (folder / "login.html").read_text()

    def page(problem: str = "", status: int = 200) -> HTMLResponse:
        return HTMLResponse(text.replace("{problem}", problem), status, HEADERS)

    @router.get("/farm/login")
    def form(request: Request) -> Response:
        return page() if is_navigation(request) else Response(status_code=403)

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
        guard.viewer(request)
        request.session.clear()
        return Response(status_code=204)

    return router


async def _name_and_password(request: Request) -> tuple[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise HTTPException(413)
    form = parse_qs(body.decode(errors="replace"))
    return form.get("name", [""])[0], form.get("password", [""])[0]
