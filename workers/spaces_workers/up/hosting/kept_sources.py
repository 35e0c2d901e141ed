"""The files of added Spaces, below the state directory: a folder for each revision, and a note of them for each Space.

    sources/NAME/space.json    sources/NAME/1    sources/NAME/2

A revision is noted once it has served. Others are left-overs of a trial that did not end, and are removed at the start.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spaces.space import source_at
from spaces_workers.setup.served_space import served_space
from spaces_workers.up.hosting.fetch import fetched
from spaces_workers.up.hosting.origin import origin_of
from spaces_workers.up.hosting.revision import Revision

#: Revisions of a Space that are kept.
KEPT = 3


@dataclass(frozen=True, slots=True)
class KeptSpace:
    """The kept revisions of one Space."""

    source: str
    current: Revision
    revisions: tuple[Revision, ...]  #: the latest last


class KeptSources:
    """Those of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "sources"

    def all(self) -> dict[str, KeptSpace]:
        """The Spaces that were added and not removed. Removes what no note names."""
        found = {}
        for folder in sorted(self._folder.glob("*")):
            if (space := self.find(folder.name)) is None:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            found[folder.name] = space
            named = {str(revision.number) for revision in space.revisions}
            for each in folder.iterdir():
                if each.is_dir() and each.name not in named:
                    shutil.rmtree(each, ignore_errors=True)
        return found

    def find(self, name: str) -> KeptSpace | None:
        """The kept revisions of a Space; None if it was not added."""
        try:
            told = json.loads(self._note(name).read_text())
        except FileNotFoundError:
            return None
        revisions = tuple(self._revision(name, each, told["source"]) for each in told["revisions"])
        current = next(each for each in revisions if each.number == told["current"])
        return KeptSpace(told["source"], current, revisions)

    async def fetch(self, name: str, source: str) -> Revision:
        """The files of a Space as a new revision, which is not noted. Raises OriginFault, SpaceFault."""
        number = 1 + max((int(each.name) for each in (self._folder / name).glob("[0-9]*")), default=0)
        folder = self._folder / name / str(number)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        try:
            origin_of(source)  # raises at once
            commit = await fetched(source, folder)
            served = replace(served_space(_script_or(folder)), name=name)
            label = commit or (await asyncio.to_thread(source_at(served.app_file).digest))[:12]
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Revision(number, served, source, label, time.time())

    def note(self, revision: Revision, source: str, in_use: Collection[int] = ()) -> None:
        """Note that this revision serves its Space; all are removed but the latest few and those `in_use` by a page."""
        name = revision.space.name
        before = self.find(name)
        known = {each.number: each for each in before.revisions} if before else {}
        known[revision.number] = revision
        kept = sorted(known)[-KEPT:]
        if revision.number not in kept:
            kept = [revision.number, *kept[1:]]
        told = {
            "source": source,
            "current": revision.number,
            "revisions": [
                {"number": number, "label": known[number].label, "made_at": known[number].made_at} for number in kept
            ],
        }
        draft = self._note(name).with_suffix(".draft")
        draft.touch(mode=0o600)  # a URL may have a password
        draft.write_text(json.dumps(told, indent=1))
        draft.replace(self._note(name))
        for number in known.keys() - set(kept) - set(in_use):
            self.discard(known[number])

    def declare(self, name: str) -> None:
        """Note that a Space is served because `farm.toml` says so, not because it was added by hand."""
        (self._folder / name / "declared").touch()

    def declared(self) -> list[str]:
        """The Spaces of which that was noted."""
        return [path.parent.name for path in self._folder.glob("*/declared")]

    def discard(self, revision: Revision) -> None:
        """Remove the files of a revision that is not noted."""
        shutil.rmtree(self._folder / revision.space.name / str(revision.number), ignore_errors=True)

    def discard_unless_noted(self, revision: Revision) -> None:
        """The same for one whose page has ended, which may have been kept for that page alone."""
        noted = self.find(revision.space.name)
        if noted is None or revision.number not in {each.number for each in noted.revisions}:
            self.discard(revision)

    def remove(self, name: str) -> None:
        """Remove all that is kept of a Space."""
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def _revision(self, name: str, told: dict[str, Any], source: str) -> Revision:  # Any: JSON
        folder = self._folder / name / str(told["number"])
        served = replace(served_space(_script_or(folder)), name=name)
        return Revision(told["number"], served, source, told["label"], told["made_at"])

    def _note(self, name: str) -> Path:
        return self._folder / name / "space.json"


def _script_or(folder: Path) -> Path:
    """The only script of a Space that is one, else its folder."""
    scripts = list(folder.iterdir())
    return scripts[0] if len(scripts) == 1 and scripts[0].suffix == ".py" else folder
