"""The page of one revision of a Space, from its start until its last visitor has left."""

from __future__ import annotations

import asyncio
from typing import Literal, TypeAlias

from spaces_workers.gateway.place import Gate
from spaces_workers.up.hosting.revision import Revision
from spaces_workers.up.keeper import Keeper
from spaces_workers.up.visits import latest_visits

#: Seconds without a visitor after which an earlier revision's page ends, and after which it ends in any case.
UNVISITED, LONGEST = 15.0, 3600.0

#: Seconds between two looks for its visitors.
INTERVAL = 1.0


#: Whether a page is being tried, serves new visitors, or serves those who came before its revision was followed.
Standing: TypeAlias = Literal["candidate", "current", "earlier"]


class HostedPage:
    """One page. `open` starts it, `end` ends it and gives up its port."""

    def __init__(self, name: str, revision: Revision, port: int, uid: int, standing: Standing) -> None:
        self.name = name  #: among all pages of the farm
        self.revision = revision
        self.port = port
        self.standing = standing
        self.keeper: Keeper | None = None
        self._uid = uid
        self._running: asyncio.Task[None] | None = None

    @property
    def gate(self) -> Gate:
        """The page, as the gateway is told of it."""
        space = self.revision.space
        return Gate(self.name, space.name, self._uid, str(space.app_file), self.standing == "current")

    @property
    def root_path(self) -> str:
        """The path below which it is served."""
        return self.keeper.service.root_path if self.keeper is not None else ""

    def open(self, keeper: Keeper, running: asyncio.Task[None]) -> None:
        """It is kept by `keeper`, which runs in `running`."""
        self.keeper, self._running = keeper, running

    async def end(self) -> None:
        """End its process at once."""
        if self._running is not None:
            self._running.cancel()
        if self.keeper is not None:
            await self.keeper.stop()
            if (port := self.keeper.service.command.page_port) is not None:
                port.close()

    async def left_by_all(self) -> None:
        """Return when nobody has visited it for a while, or when it has been kept for as long as it may."""
        deadline = asyncio.get_running_loop().time() + LONGEST
        unvisited = 0.0
        while unvisited < UNVISITED and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(INTERVAL)
            visits = await asyncio.to_thread(latest_visits, [self.port])
            unvisited = min(unvisited + INTERVAL, visits[self.port].ended_for)
            if self.keeper is None or not self.keeper.answers:
                return
