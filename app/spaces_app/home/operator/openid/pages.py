"""The way to the provider and back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from spaces_app.home.operator.attempts import Attempts
from spaces_app.home.operator.guard import HEADERS, Guard, is_navigation
from spaces_app.home.operator.openid.provider import CALLBACK, Provider
from spaces_app.home.operator.openid.refusals import LoginRefused, NotBegun

#: Steps of logins at once: so many more failures than the limit can happen.
AT_ONCE = 4


def provider_pages(provider: Provider, guard: Guard) -> APIRouter:
    """`/farm/login/provider` and its callback."""
    router, attempts, few = APIRouter(), Attempts(), asyncio.Semaphore(AT_ONCE)

    def too_many(request: Request, client: str) -> Response | None:
        wait = attempts.wait_of(client)
        return _back(request, f"Too many logins have failed. Try again in {wait:.0f} seconds.") if wait else None

    async def tried(request: Request, step: Callable[[], Awaitable[Response]]) -> Response:
        if not is_navigation(request):
            return Response(status_code=403)
        client = request.client.host if request.client else ""
        if refusal := too_many(request, client):
            return refusal
        async with few:
            return too_many(request, client) or await counted(request, client, step)

    async def counted(request: Request, client: str, step: Callable[[], Awaitable[Response]]) -> Response:
        try:
            return await step()
        except LoginRefused as refused:
            if not isinstance(refused, NotBegun):
                attempts.failed(client)
            return _back(request, str(refused))

    @router.get("/farm/login/provider")
    async def begin(request: Request) -> Response:
        return await tried(request, lambda: provider.begin(request))

    @router.get(CALLBACK)
    async def callback(request: Request) -> Response:
        async def finish() -> Response:
            guard.log_in(request, await provider.finish(request), provider.rules.session)
            return RedirectResponse("../../farm", 303, HEADERS)

        return await tried(request, finish)

    return router


def _back(request: Request, problem: str) -> Response:
    """To the page of the login, which tells the problem once."""
    request.session["problem"] = problem
    return RedirectResponse("../login", 303, HEADERS)
