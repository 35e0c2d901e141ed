"""The routes of the operator's page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Body, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from spaces.errors import SpacesError
from spaces_app.home.operator import acting
from spaces_app.home.operator.guard import HEADERS, Guard, is_navigation
from spaces_app.home.operator.logs import follow, log_of
from spaces_app.home.operator.shared_view import INTERVAL, SharedView
from spaces_app.home.snapshots import Snapshots

#: Seconds after which a stream of events ends, and the page asks for another.
LONGEST_STREAM = 600.0

Json = dict[str, Any]  # Any: JSON


def operator_pages(snapshots: Snapshots, guard: Guard, state_dir: Path, folder: Path) -> APIRouter:
    """The page, what it follows, and what it does; `folder` has its file."""
    router, shared = APIRouter(), SharedView(snapshots, state_dir)
    text = (folder / "farm.html").read_text()

    @router.get("/farm")
    def page(request: Request) -> Response:
        if not is_navigation(request):
            return Response(status_code=403)
        session = guard.session(request)
        if session is None:
            return RedirectResponse(
                "farm/login/provider" if guard.may_come_again(request) else "farm/login", 303, HEADERS
            )
        facts = {"token": session.token, "name": session.operator.name, "role": session.operator.role}
        return HTMLResponse(_filled(text, facts), headers=HEADERS)

    @router.get("/farm/events")
    async def events(request: Request) -> StreamingResponse:
        await asyncio.to_thread(guard.viewer, request)  # which asks the broker
        return _stream(_views(shared), lambda: guard.session(request) is not None)

    @router.get("/farm/log/{space}")
    async def log(request: Request, space: str, kind: str = "web") -> StreamingResponse:
        await asyncio.to_thread(guard.viewer, request)  # which asks the broker
        if space not in {each.name for each in (await asyncio.to_thread(snapshots.latest)).spaces}:
            raise HTTPException(404, "There is no such Space")
        texts = _texts(follow(log_of(state_dir, space, kind)))
        return _stream(texts, lambda: guard.session(request) is not None)

    @router.post("/farm/act")
    def act(request: Request, verb: str = Body(), target: str = Body()) -> Json:
        operator = guard.operator(request).operator
        by = f"{operator.name} on the operator's page"
        try:
            actor = acting.Acting(snapshots.queue, snapshots.url, by, state_dir, operator.alias)
            done = actor.do(acting.Request(verb, target))
        except SpacesError as error:
            raise HTTPException(409, str(error)) from error
        return {"done": done}

    return router


async def _views(shared: SharedView) -> AsyncIterator[str]:
    while True:
        yield await asyncio.to_thread(shared.latest)
        await asyncio.sleep(INTERVAL)


async def _texts(texts: AsyncIterator[str]) -> AsyncIterator[str]:
    async for each in texts:
        yield json.dumps(each)


def _stream(messages: AsyncIterator[str], lasts: Callable[[], bool]) -> StreamingResponse:
    """Server-sent events, until the session of the reader is over."""

    async def sent() -> AsyncIterator[str]:
        async with asyncio.timeout(LONGEST_STREAM):
            async for message in messages:
                if not await asyncio.to_thread(lasts):
                    return
                yield f"data: {message}\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_until_timeout(sent), media_type="text/event-stream", headers=headers)


async def _until_timeout(messages: Callable[[], AsyncIterator[str]]) -> AsyncIterator[str]:
    try:
        async for each in messages():
            yield each
    except TimeoutError:
        return


def _filled(text: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        text = text.replace(f"{{{name}}}", escape(value))
    return text
