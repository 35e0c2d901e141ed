"""The description of a provider is loaded once for all logins, checked, and waited for no longer than a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from types import SimpleNamespace

import httpx2
import pytest
from starlette.requests import Request

from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces_app.home.operator.openid import provider
from spaces_app.home.operator.openid.provider import Provider
from spaces_app.home.operator.openid.refusals import LoginRefused

RULES = LoginRules(issuer="https://id.example", client_id="zerofarm", name="Lab account")
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
RIGHT = {"issuer": RULES.issuer} | {name: f"https://id.example/{name}" for name in NEEDED}

Describing = Callable[[httpx2.Request], Coroutine[None, None, httpx2.Response]]


def answering(describe: Describing, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The provider whose description is asked for here."""
    client = partial(httpx2.AsyncClient, transport=httpx2.MockTransport(describe))
    made = SimpleNamespace(AsyncClient=client, create_ssl_context=httpx2.create_ssl_context)
    monkeypatch.setattr(provider, "httpx2", made)  # Authlib has its own
    return Provider(RULES, lambda: "hush", "https://farm.example")


def login() -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "session": {}})


def test_logins_at_once_load_the_description_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def describe(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        await asyncio.sleep(0)
        return httpx2.Response(200, json=RIGHT)

    async def begin() -> list[str]:
        one = answering(describe, monkeypatch)
        return [each.headers["location"] for each in await asyncio.gather(*(one.begin(login()) for _ in range(5)))]

    assert all(url.startswith("https://id.example/authorization_endpoint?") for url in asyncio.run(begin()))
    assert asked == ["https://id.example/.well-known/openid-configuration"]


def test_no_login_begins_by_a_wrong_description(monkeypatch: pytest.MonkeyPatch) -> None:
    async def describe(_request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)
        return httpx2.Response(200, json=RIGHT | {"issuer": "https://evil.example"})

    async def begin() -> list[object]:
        one = answering(describe, monkeypatch)
        return list(await asyncio.gather(*(one.begin(login()) for _ in range(5)), return_exceptions=True))

    assert [type(each) for each in asyncio.run(begin())] == [LoginRefused] * 5


def test_a_provider_that_never_ends_its_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "IN_ALL", 0.01)

    async def describe(_request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def begin() -> None:
        await answering(describe, monkeypatch).begin(login())

    with pytest.raises(LoginRefused, match=r"Lab account does not answer \(TimeoutError\)"):
        asyncio.run(asyncio.wait_for(begin(), 60))
