"""The pages on the way to the provider, with a provider that refuses everybody."""

from __future__ import annotations

import asyncio
from typing import cast

import httpx
from fastapi import FastAPI, Request, Response
from starlette.middleware.sessions import SessionMiddleware

from spaces_app.home.operator.attempts import OF_ONE
from spaces_app.home.operator.guard import Guard
from spaces_app.home.operator.openid.pages import AT_ONCE, provider_pages
from spaces_app.home.operator.openid.provider import Provider
from spaces_app.home.operator.openid.refusals import LoginRefused


class Refusing:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def begin(self, _request: Request) -> Response:
        self.asked += 1
        await asyncio.sleep(0)
        raise LoginRefused("Not you.")


def test_the_limit_of_failures_holds_for_requests_at_once() -> None:
    provider, app = Refusing(), FastAPI()
    app.add_middleware(SessionMiddleware, secret_key="key")
    app.include_router(provider_pages(cast(Provider, provider), cast(Guard, None)))

    async def ask() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://farm.example") as browser:
            await asyncio.gather(*(browser.get("/farm/login/provider") for _ in range(10 * OF_ONE)))

    asyncio.run(ask())
    assert OF_ONE <= provider.asked < OF_ONE + AT_ONCE
