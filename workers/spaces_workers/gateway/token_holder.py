"""A caller on another host: a program, or the page of a Space, with a token that names the Space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from spaces.errors import RefusedError
from spaces.farm.links.token import NEW_ONE
from spaces.farm.queue.registry import SpaceRecord
from spaces.farm.task import Task
from spaces_workers.gateway.tenant import Tenant
from spaces_workers.gateway.tokens import TokenRecord, Use

#: Nothing is on this host below such a path, and nothing can be made there.
_NOWHERE = PurePosixPath("/dev/null")


def holder_of(record: TokenRecord) -> Program:
    """The rights of the holder of a token."""
    kind = RemotePage if record.use == Use.SERVE else Program
    return kind(record.space, token=record.id)


@dataclass(frozen=True, slots=True)
class Program(Tenant):
    """A program: it calls functions of its Space, and reads, follows and stops their tasks."""

    token: str = ""

    def check(self, space: str) -> None:
        if space != self.space:
            raise RefusedError(
                f"token {self.token} is for Space {self.space!r}, not for {space!r}. {NEW_ONE.format(space)}"
            )

    def name(self, client: str) -> str:
        """A token of its own for each name: nobody is taken for another who says so."""
        return f"{self.token}.{client}"

    def visitor(self, task: Task, counts: bool) -> str:
        """Tasks of a program count for its token, whatever it says."""
        return f"token:{self.token}" if counts else ""

    def may_ask_for(self, visitor: str) -> bool:
        return visitor == f"token:{self.token}"

    def found(self, record: SpaceRecord) -> SpaceRecord:
        """A Space as a caller may know it: not where it is, nor who serves it."""
        return replace(record, app_file="", root="", host="", python="", calls=(), client="")

    def record(self, record: SpaceRecord, client: str, host: str) -> SpaceRecord:
        raise RefusedError(
            f"token {self.token} is for calls. To serve a Space, {NEW_ONE.format(self.space + ' --serve').lower()}"
        )


@dataclass(frozen=True, slots=True)
class RemotePage(Program):
    """A page of its Space, which it serves and registers. Its visitors are its own to tell apart."""

    def visitor(self, task: Task, counts: bool) -> str:
        return Tenant.visitor(self, task, counts)

    def may_ask_for(self, visitor: str) -> bool:
        return True

    def record(self, record: SpaceRecord, client: str, host: str) -> SpaceRecord:
        """Its files are those that it sends: no path that it names is read or written on a host of the farm."""
        self.check(record.name)
        mine = Tenant.record(self, record, client, host)
        script = _within(record)
        root = _NOWHERE / self.space
        return replace(
            mine, root=str(root), app_file=str(root / script), host=f"token {self.token}", python=str(root / "python")
        )


def _within(record: SpaceRecord) -> PurePosixPath:
    """The script's path below its Space's folder. Raises RefusedError."""
    try:
        path = PurePosixPath(record.app_file).relative_to(record.root)
    except ValueError:
        path = PurePosixPath("..")
    if ".." in path.parts or not path.parts:
        raise RefusedError(f"the script of a Space is below its folder, got {record.app_file!r} in {record.root!r}")
    return path
