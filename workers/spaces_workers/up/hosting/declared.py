"""Lets the Spaces of a farm be as `farm.toml` says: applies what has changed in it, at the start and while it runs.

A Space with a `source` is added, and removed when its table is. Other changes of its table let its page start anew,
beside the one that serves. A file with a mistake changes nothing, and the mistake is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from redis import RedisError

from spaces.errors import SpacesError
from spaces.farm.queue import settings
from spaces.farm.queue.control.audit import Action, Audit
from spaces.farm.queue.control.controls import Controls, terms
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import SpaceRules
from spaces_workers.setup.space_variables import secrets_path
from spaces_workers.up.hosting.origin import Local, OriginFault, checked_name, origin_of
from spaces_workers.up.hosting.spaces import HostedSpaces
from spaces_workers.up.reports import Note, Reporter

#: Seconds between two looks at the file, and at the files of secrets.
INTERVAL = 1.0

#: Who does what the file says, in the record.
BY = "farm.toml"

#: What a process of a Space reads only at its start.
_AT_START = ("env", "secrets", "fork", "preload", "root_path", "size")


class Declared:
    """Watches one settings file. Use it on the event loop of `zerofarm up`."""

    def __init__(self, spaces: HostedSpaces, queue: Queue, report: Reporter, folder: Path) -> None:
        self._spaces = spaces
        self._queue = queue
        self._report = report
        self._folder = folder
        self._applied: dict[str, SpaceRules] = {}
        self._secrets: dict[str, object] = {}
        self._told = ""

    async def watch(self) -> None:
        """Apply the file now and whenever it changes, for ever."""
        self._applied = {name: replace(rules, source="") for name, rules in self._rules().items()}
        self._secrets = self._stamps()
        while True:
            with suppress(RedisError):  # the broker is away: the next look follows
                await self.look()
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Apply what has changed since the last look."""
        wanted, before = self._rules(), self._applied
        secrets, secrets_before = self._stamps(), self._secrets
        await asyncio.to_thread(self._limit, wanted)
        self._applied, self._secrets = dict(wanted), secrets
        for name in self._no_longer(wanted):
            await self._do("remove", name, "", lambda name=name: self._spaces.remove(name))  # type: ignore[misc]
        for name, rules in wanted.items():
            had = before.get(name, SpaceRules())
            if rules.source and rules.source != had.source:
                await self._add(name, rules.source)
            elif name in self._spaces.pages and (_differ(rules, had) or secrets.get(name) != secrets_before.get(name)):
                await self._do("restart", name, "its table has changed", lambda name=name: self._renew(name))  # type: ignore[misc]

    async def _add(self, name: str, source: str) -> None:
        if not self._is_fetched(name, source):
            await self._do("add", name, source, lambda: self._added(name, source))

    def _is_fetched(self, name: str, source: str) -> bool:
        """Whether it is served already, at the revision that was fetched. A folder of this host is compared instead."""
        kept = self._spaces.kept.find(name)
        with suppress(OriginFault):
            return kept is not None and kept.source == source and not isinstance(origin_of(source), Local)
        return False

    async def _added(self, name: str, source: str) -> None:
        await self._spaces.update(checked_name(name), self._absolute(source), lambda _: None)
        self._spaces.kept.declare(name)

    async def _renew(self, name: str) -> None:
        await self._spaces.renew(name, lambda _: None)

    async def _do(self, verb: str, name: str, detail: str, work: Callable[[], object]) -> None:
        outcome = detail
        try:
            await work()  # type: ignore[misc] # a coroutine
        except (SpacesError, RedisError, OSError) as error:
            outcome = f"{detail} failed: {error}".strip()
            self._report(Note(f"farm.toml: {error}"))
        with suppress(RedisError):  # the broker is away; what was done is done
            await asyncio.to_thread(Audit(self._queue.redis).note, Action(BY, verb, name, outcome))

    def _limit(self, wanted: dict[str, SpaceRules]) -> None:
        controls, known = Controls(self._queue, BY), terms(self._queue)
        for name in known.keys() | wanted.keys():
            rules = wanted.get(name, SpaceRules())
            controls.limit_gpus(name, rules.max_gpus)
            controls.prefer(name, rules.priority)

    def _no_longer(self, wanted: dict[str, SpaceRules]) -> list[str]:
        declared = self._spaces.kept.declared()
        return [name for name in declared if not wanted.get(name, SpaceRules()).source and name in self._spaces.pages]

    def _absolute(self, source: str) -> str:
        origin = origin_of(source, self._folder)
        return str(origin.path) if isinstance(origin, Local) else source

    def _rules(self) -> dict[str, SpaceRules]:
        """The tables of the file now. A mistake in it is told once; the tables before it hold meanwhile."""
        path = settings.path()
        try:
            if path is not None and path.exists():
                settings.read(path)
            self._told = ""
        except SpacesError as error:
            if str(error) != self._told:
                self._told = str(error)
                self._report(Note(f"nothing is changed: {error}"))
        return dict(settings.latest().spaces)

    def _stamps(self) -> dict[str, object]:
        """By Space, the state of its file of secrets."""
        found: dict[str, object] = {}
        for name, rules in settings.latest().spaces.items():
            if (path := secrets_path(rules)) is not None:
                with suppress(OSError):
                    state = path.stat()
                    found[name] = (state.st_mtime_ns, state.st_size, state.st_mode)
        return found


def _differ(one: SpaceRules, other: SpaceRules) -> bool:
    return any(getattr(one, key) != getattr(other, key) for key in _AT_START)
