"""The actions of the control socket of `zerofarm up`: each is a method here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from spaces.errors import SpacesError
from spaces.farm.page_addresses import read_pages
from spaces.farm.queue.control.controls import Controls
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.status import StatusReader
from spaces_workers.up.hosting.origin import checked_name, in_words
from spaces_workers.up.hosting.page import HostedPage
from spaces_workers.up.hosting.spaces import HostedSpaces, Say

#: What an action was given and what it answers, as JSON has it.
Json: TypeAlias = Mapping[str, Any]


class NoSuchAction(SpacesError, ValueError):
    """It cannot be asked for, or not with these arguments."""


class Actions:
    """Those of one farm. Use it on its event loop."""

    def __init__(self, spaces: HostedSpaces, queue: Queue, pages: Path) -> None:
        self._spaces = spaces
        self._queue = queue
        self._pages = pages

    async def do(self, action: str, by: str, arguments: Json, say: Say) -> Json:
        """Do one action for an operator, and return what it answers. Raises SpacesError."""
        known: Mapping[str, Callable[..., Awaitable[Json]]] = {
            "add": self._add,
            "remove": self._remove,
            "restart": self._restart,
            "rollback": self._roll_back,
            "list": self._list,
            "status": self._status,
        }
        if action not in known:
            raise NoSuchAction(f"zerofarm up does not know {action!r}; it can: {', '.join(known)}")
        try:
            return await known[action](say, by, **arguments)
        except TypeError as error:
            raise NoSuchAction(f"{action} was asked for in another way than this version does: {error}") from error

    async def _add(self, say: Say, by: str, *, source: str, name: str) -> Json:
        revision = await self._spaces.add(checked_name(name), source, say)
        return describe(self._spaces.pages[revision.space.name])

    async def _remove(self, say: Say, by: str, *, space: str) -> Json:
        await self._spaces.remove(space)
        await asyncio.to_thread(Controls(self._queue, by).forget, space)
        return {}

    async def _restart(self, say: Say, by: str, *, space: str) -> Json:
        await self._spaces.restart(space)
        return describe(self._spaces.pages[space])

    async def _roll_back(self, say: Say, by: str, *, space: str, revision: int | None = None) -> Json:
        await self._spaces.roll_back(space, revision, say)
        return describe(self._spaces.pages[space])

    async def _list(self, say: Say, by: str) -> Json:
        return {"spaces": [describe(page) for page in self._spaces.pages.values()]}

    async def _status(self, say: Say, by: str) -> Json:
        reader = StatusReader(self._queue)
        return asdict(await asyncio.to_thread(lambda: reader.read(read_pages(self._pages))))


def describe(page: HostedPage) -> Json:
    """A page that serves a Space, for operators."""
    keeper, revision = page.keeper, page.revision
    return {
        "space": revision.space.name,
        "state": keeper.serving if keeper else "queued",
        "problem": keeper.problem if keeper else "",
        "revision": revision.number,
        "label": revision.label,
        "made_at": revision.made_at,
        "source": in_words(revision.source),
        "url": keeper.service.url if keeper and keeper.has_page else "",
    }


def target_of(arguments: Json) -> str:
    """The subject of an action, for the record."""
    return str(arguments.get("space") or arguments.get("name") or "")


def detail_of(arguments: Json) -> str:
    """The rest of its arguments, without passwords."""
    rest = {name: value for name, value in arguments.items() if name not in ("space", "name") and value is not None}
    return " ".join(in_words(str(value)) for value in rest.values())
