"""Serves the Spaces of a host while they come and go. `zerofarm up` has one, on its event loop.

A new revision starts beside the one that serves, is tried, and takes its place; open pages finish on the earlier one.
A revision that fails its trial is ended, and nothing else happens.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from redis import RedisError

from spaces.errors import SpacesError
from spaces.farm import log_files
from spaces.farm.queue.registry import Registry, SpaceRecord
from spaces.farm.values.signing import derive_space_key
from spaces_workers.gateway import orders
from spaces_workers.isolation.build_log import BuildLog
from spaces_workers.nursery import client as nursery
from spaces_workers.setup.served_space import ServedSpace
from spaces_workers.setup.space_variables import variables_of_space
from spaces_workers.up.beginning.farm_options import FarmOptions
from spaces_workers.up.composition import Composition
from spaces_workers.up.hosting import trial
from spaces_workers.up.hosting.kept_sources import KeptSources
from spaces_workers.up.hosting.origin import OriginFault, check_same, in_words
from spaces_workers.up.hosting.page import HostedPage, Standing
from spaces_workers.up.hosting.revision import Revision
from spaces_workers.up.hosting.trial import TrialFault
from spaces_workers.up.keeper import Keeper
from spaces_workers.up.reports import Note, Reporter
from spaces_workers.up.turns import Turns

#: Tells the operator who asked how far it is.
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Means:
    """The parts of `zerofarm up` that the Spaces need."""

    options: FarmOptions
    report: Reporter
    go: Callable[[Coroutine[None, None, None]], asyncio.Task[None]]
    gates_changed: Callable[[], None]  #: the gateway, if it is started again, must have the new gates
    turns: Turns


class HostedSpaces:
    """All Spaces of one farm on this host, by name."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._options = means.options
        self.kept = KeptSources(means.options.state_dir)
        self._current: dict[str, HostedPage] = {}
        self._others: list[HostedPage] = []  #: candidates, and earlier ones with visitors
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._is_over = False
        self._farm: Composition | None = None
        self._registry: Registry | None = None

    def plan(self) -> None:
        """Take up the Spaces that the operator has named, and those that were added before. None is started."""
        for space in self._options.spaces:
            self._current[space.name] = self._made(Revision(0, space, str(space.app_file)))
        for name, kept in self.kept.all().items():
            if name in self._current:
                self._means.report(Note(f"Space {name} is served from the command line, not as it was added"))
            else:
                self._current[name] = self._made(kept.current)

    def open(self, farm: Composition, registry: Registry) -> list[Keeper]:
        """Start all that were planned; the gateway must have their gates."""
        self._farm, self._registry = farm, registry
        return [self._opened(page) for page in self._current.values()]

    @property
    def spaces(self) -> list[ServedSpace]:
        """The Spaces that are served."""
        return [page.revision.space for page in self._current.values()]

    @property
    def pages(self) -> dict[str, HostedPage]:
        """The page that serves each Space."""
        return dict(self._current)

    @property
    def every_page(self) -> list[HostedPage]:
        """Those, and pages of other revisions that still run."""
        return [*self._current.values(), *self._others]

    @property
    def keepers(self) -> list[Keeper]:
        """The keepers of the pages that serve Spaces."""
        return list(_keepers(self._current.values()))

    def earlier(self, name: str) -> Sequence[HostedPage]:
        """Pages of earlier revisions that still have visitors."""
        return [each for each in self._others if each.revision.space.name == name and each.standing == "earlier"]

    async def add(self, name: str, source: str, say: Say) -> Revision:
        """Serve a Space, or a new revision of one that came from there. Raises OriginFault, SpaceFault, TrialFault."""
        if (before := self._current.get(name)) is not None:
            check_same(name, before.revision.source, source)
        return await self.update(name, source, say)

    async def update(self, name: str, source: str, say: Say) -> Revision:
        """Serve a Space, or a new revision of it, wherever it came from before. Raises the same."""
        async with self._locks[name]:
            before, say = self._current.get(name), self._builds(name).beside(say)
            say(f"fetching {in_words(source)}")
            revision = await self.kept.fetch(name, source)
            if before is not None and await asyncio.to_thread(before.revision.is_like, revision):
                self.kept.discard(revision)
                self.kept.note(before.revision, source)
                say(f"revision {before.revision.number} has the same files, and goes on")
                return before.revision
            try:
                await self._deploy(revision, say)
            except BaseException:
                self.kept.discard(revision)
                raise
            await asyncio.to_thread(self.kept.note, revision, source, self._in_use(name))
            return revision

    async def roll_back(self, name: str, number: int | None, say: Say) -> Revision:
        """Serve a kept revision again; None: the one before. Raises OriginFault, TrialFault."""
        async with self._locks[name]:
            current, kept = self._found(name).revision, self.kept.find(name)
            known = [each for each in kept.revisions if each.number != current.number] if kept else []
            wanted = [
                each for each in known if each.number == number or (number is None and each.number < current.number)
            ]
            if kept is None or not wanted:
                others = ", ".join(str(each.number) for each in known) or "no other"
                asked = "an earlier revision" if number is None else f"revision {number}"
                raise OriginFault(f"Space {name} has not kept {asked}: it has {current.number}, and {others}")
            await self._deploy(wanted[-1], self._builds(name).beside(say))
            await asyncio.to_thread(self.kept.note, wanted[-1], kept.source, self._in_use(name))
            return wanted[-1]

    async def remove(self, name: str) -> None:
        """Serve a Space no more, and forget its revisions. Raises OriginFault for one that is not served."""
        async with self._locks[name]:
            page = self._found(name)
            del self._current[name]
            for each in (page, *self.earlier(name)):
                await self._end(each)
            await asyncio.to_thread(self.kept.remove, name)
            await asyncio.to_thread(self._known.forget, name)

    async def restart(self, name: str) -> None:
        """Start the page of a Space again, and have workers make its zygotes anew. Raises OriginFault."""
        async with self._locks[name]:
            page = self._found(name)
            await asyncio.to_thread(self._known.tell_of_idleness, name)
            if page.keeper is not None:
                await page.keeper.restart()

    async def renew(self, name: str, say: Say) -> None:
        """Serve the same revision anew, by new processes, once they have been tried. Raises OriginFault, TrialFault."""
        async with self._locks[name]:
            page = self._found(name)
            variables_of_space(name)  # raises before anything is given up for it
            await asyncio.to_thread(self._known.tell_of_idleness, name)
            await self._deploy(page.revision, self._builds(name).beside(say))

    async def end(self) -> None:
        """End all pages, and begin none."""
        self._is_over = True
        await asyncio.gather(*(page.end() for page in self.every_page))

    async def _deploy(self, revision: Revision, say: Say) -> None:
        """Try a revision beside the one that serves, and let it take its place."""
        name = revision.space.name
        if self._is_over:
            raise TrialFault("the farm is being stopped")
        page = self._made(revision, "candidate")
        self._others.append(page)
        try:
            await self._tell_gateway()
            say(f"starting revision {revision.number} ({revision.label})")
            record = await self._try(page, say)
            if record is not None:
                await asyncio.to_thread(self._known.promote, record)
        except BaseException as error:
            await self._end(page)
            with suppress(RedisError):  # the broker is away, or ends with the farm: the record expires
                await asyncio.to_thread(self._known.withdraw, name)
            if isinstance(error, TrialFault):
                before, log = self._current.get(name), log_files.of_page(self._options.state_dir, page.name)
                refusal = trial.refusal(revision, before.revision if before else None, str(error), log)
                self._builds(name).note(str(refusal))
                raise refusal from None
            raise
        await self._switch(page)
        self._builds(name).note(f"revision {revision.number} is served")

    async def _try(self, page: HostedPage, say: Say) -> SpaceRecord | None:
        keeper = self._opened(page)
        await trial.page_answers(keeper)
        record = await asyncio.to_thread(self._known.candidate, page.revision.space.name)
        if record is not None:
            say("its page answers; trying it on a worker")
            key = derive_space_key(self._options.farm_key, record.name)
            await trial.zygote_gets_ready(record, key, self._nursery)
        return record

    async def _switch(self, page: HostedPage) -> None:
        name = page.revision.space.name
        before = self._current.get(name)
        self._others.remove(page)
        if before is not None:
            before.standing = "earlier"
            self._others.append(before)
        page.standing = "current"
        self._current[name] = page
        await self._tell_gateway()
        if before is not None:
            self._means.go(self._retire(before))

    async def _retire(self, page: HostedPage) -> None:
        await page.left_by_all()
        name = page.revision.space.name
        async with self._locks[name]:
            if page in self._others:  # else it ended with its Space, and another may have the name and number now
                await self._end(page)
        if name in self._current and not self.earlier(name):
            with suppress(SpacesError, RedisError, OSError, ValueError):  # its zygote ends with the next that is made
                record = await asyncio.to_thread(self._known.find, name)
                await asyncio.to_thread(nursery.retire, self._nursery, name, record.revision)

    async def _end(self, page: HostedPage) -> None:
        await page.end()
        if page in self._others:
            self._others.remove(page)
        await asyncio.to_thread(self.kept.discard_unless_noted, page.revision)
        await self._tell_gateway()

    async def _tell_gateway(self) -> None:
        """Let the gateway have the gates of all pages, also if it is just started again."""
        self._means.gates_changed()
        options = self._options
        gates = [page.gate for page in self.every_page]
        while not self._is_over:
            try:
                await asyncio.to_thread(orders.tell, options.run_dir, options.state_dir, gates)
                break
            except OSError:
                await asyncio.sleep(0.1)

    def _made(self, revision: Revision, standing: Standing = "current") -> HostedPage:
        uid = self._options.sandboxes.user_of(revision.space.name)
        names = {page.name for page in self.every_page}
        others = (f"{revision.page}-{number}" for number in count(2))
        name = next(each for each in (revision.page, *islice(others, len(names))) if each not in names)
        return HostedPage(name, revision, self._options.next_port(), uid, standing)

    def _opened(self, page: HostedPage) -> Keeper:
        if self._farm is None:
            raise RuntimeError("`open` was not called: the farm has not started")
        service = self._farm.page_of(page.revision.space, page.name, page.port)
        keeper = Keeper(service, self._means.report, self._means.turns)
        page.open(keeper, self._means.go(keeper.run()))
        return keeper

    def _in_use(self, name: str) -> set[int]:
        return {page.revision.number for page in self.every_page if page.revision.space.name == name}

    def _builds(self, name: str) -> BuildLog:
        return BuildLog(self._options.state_dir, name)

    def _found(self, name: str) -> HostedPage:
        if name not in self._current:
            known = ", ".join(sorted(self._current)) or "none"
            raise OriginFault(f"zerofarm up serves no Space {name!r}; it serves: {known}")
        return self._current[name]

    @property
    def _known(self) -> Registry:
        if self._registry is None:
            raise RuntimeError("`open` was not called: the farm has not started")
        return self._registry

    @property
    def _nursery(self) -> Path:
        return nursery.socket_path(self._options.run_dir, log_files.folder_of(self._options.state_dir))


def _keepers(pages: Iterable[HostedPage]) -> Iterator[Keeper]:
    for page in pages:
        if page.keeper is not None:
            yield page.keeper
