"""Describes the sandbox of each process of a Space. `zerofarm up` and the nursery, which start them, do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil

from spaces.farm.links.gateway_address import SCHEME, is_gateway
from spaces.farm.queue import settings
from spaces.space import source_at
from spaces_workers.sandbox import control_groups, space_folders
from spaces_workers.sandbox.control_groups import Limits
from spaces_workers.sandbox.description import Kind, Level, Place, Sandbox
from spaces_workers.sandbox.hidden import hidden
from spaces_workers.sandbox.level import chosen
from spaces_workers.sandbox.owners import Owners
from spaces_workers.sandbox.places import is_socket, places, shown
from spaces_workers.sandbox.users import uid_of


class Sandboxes:
    """Those of a farm on this host. Raises LevelFault if the host cannot give the level that is demanded."""

    def __init__(self, state_dir: Path, run_dir: Path) -> None:
        self.level = chosen()
        self._state_dir = state_dir.resolve()
        self._run_dir = run_dir.resolve()
        self._owners = Owners()

    def of_page(self, space: str, app_file: Path, url: str) -> Sandbox | None:
        """The sandbox of a Space's web process, which reaches the farm at `url`; None if nothing separates Spaces."""
        made = self._of(space, app_file, Path(sys.executable), gpus=False)
        return made and replace(made, places=(*made.places, *self._mapped(_farm(url), made.uid)))

    def of_zygote(self, space: str, app_file: Path, python: Path) -> Sandbox | None:
        """The sandbox of a Space's zygote and its children; None if nothing separates Spaces."""
        return self._of(space, app_file, python, gpus=True)

    def user_of(self, space: str) -> int:
        """The user of a Space's processes, as the host sees it."""
        return uid_of(self._state_dir, space) if self.level is Level.USERS else os.getuid()

    def state_of(self, space: str) -> Path | None:
        """The part of the state directory that a Space has for itself; None if it sees all of it."""
        return None if self.level is Level.NONE else space_folders.state_of(self._state_dir, space)

    def remove_groups(self) -> None:
        """Remove the control groups of Spaces that run no process; only while none is about to be started."""
        control_groups.remove(self._state_dir)

    def _of(self, space: str, app_file: Path, python: Path, *, gpus: bool) -> Sandbox | None:
        if self.level is Level.NONE:
            return None
        rules = settings.current().isolation
        separate = self.level is Level.USERS
        uid = self.user_of(space)
        folders = space_folders.made(self._state_dir, space, uid)
        source = source_at(app_file.resolve())
        view = self._state_dir / "view"
        view.mkdir(mode=0o700, exist_ok=True)
        seen = places(source, folders, python, rules, gpus=gpus, hides_processes=separate)
        covers = [place for place in hidden(seen, self._state_dir, self._run_dir) if place.path != str(source.root)]
        found = (*sorted((*covers, *seen), key=lambda place: place.path.count("/")), *self._shared())
        shown = tuple(self._mapped(found, uid))
        return Sandbox(self.level, space, uid, str(view), str(source.root), shown, self._groups(space))

    def _mapped(self, places: Iterable[Place], uid: int) -> Iterator[Place]:
        for place in places:
            own = place.kind is Kind.OWN and self.level is Level.USERS
            yield replace(place, mapping=self._owners.mapping(place.source, uid)) if own else place

    def _groups(self, space: str) -> tuple[str, ...]:
        rules = settings.current().isolation
        memory_bytes = int(psutil.virtual_memory().total * rules.memory)
        limits = Limits(memory_bytes, rules.processes, rules.cpus)
        return control_groups.groups_of(self._state_dir, space, limits)

    def _shared(self) -> Iterator[Place]:
        """The places that processes of the farm and of the Space both use: payloads."""
        blobs = self._run_dir / "blobs"
        blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.level is Level.USERS:
            blobs.chmod(0o1733)  # each writes files of its own there, and finds no other's
        yield Place(str(blobs), Kind.HOST, str(blobs), writable=True)


def _farm(url: str) -> Iterator[Place]:
    """The folder of the socket of gateway or broker, if it listens at one: a later one has another socket there.

    A page that reaches the broker itself needs the farm's settings too.
    """
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme in ("unix", "redis+socket", SCHEME) and is_socket(path):
        yield shown(path.parent, writable=True)
    if not is_gateway(url) and (named := os.environ.get(settings.VARIABLE)):
        yield shown(Path(named).resolve())
