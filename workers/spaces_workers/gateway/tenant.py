"""A caller that is the page of one Space, which the socket tells.

All that a page may decide is checked or replaced here, before it reaches the broker.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from spaces.errors import RefusedError
from spaces.farm.queue.registry import SpaceRecord
from spaces.farm.size import Size
from spaces.farm.task import LOAD, Task
from spaces.farm.traces import task_traces
from spaces.space import source_at

#: Characters of a visitor's name, and of a summary.
LONGEST_VISITOR, LONGEST_SUMMARY = 200, 1000

_TASK = re.compile(r"[0-9a-f]{32}")
_REVISION = re.compile(r"[0-9a-f]{16}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Tenant:
    """The page of a Space: it may use this Space's functions, and register it."""

    space: str
    app_file: Path | None = None  #: the script of its Space, if this host has it
    serves: bool = True  #: its revision is the one that programs are to find, not one beside it

    def check(self, space: str) -> None:
        """Raise RefusedError for a Space that it may not use."""
        if space != self.space:
            raise RefusedError(f"this connection may not use Space {space!r}")

    def name(self, client: str) -> str:
        """How a process that calls itself so is called among the clients of its Space."""
        return client

    def visitor(self, task: Task, counts: bool) -> str:
        """Whom a task counts for, if tasks `counts`. A page knows its visitors, but none counts for another Space."""
        kind, _, _ = task.visitor.partition(":")
        return f"space:{task.space}" if kind == "space" else task.visitor[:LONGEST_VISITOR]

    def may_ask_for(self, visitor: str) -> bool:
        """Whether it may know what a visitor has used."""
        return True

    def found(self, record: SpaceRecord) -> SpaceRecord:
        """Its Space, as it may know it."""
        return record

    def task(self, task: Task, client: str, reader: str, counts: bool) -> Task:
        """The task as the farm accepts it. Raises RefusedError."""
        self.check(task.space)
        if not is_task_id(task.id):
            raise RefusedError("a task is named by 32 hexadecimal digits")
        if task.revision and not _REVISION.fullmatch(task.revision):
            raise RefusedError("a revision is named by 16 hexadecimal digits")
        if task.size not in set(Size) or not (math.isfinite(task.time_limit) and task.time_limit > 0):
            raise RefusedError(f"no GPU of size {task.size!r} can be had for {task.time_limit:g} s")
        if task.function == LOAD:
            raise RefusedError(f"only operators of the farm may load a Space: `zerofarm load {task.space}`")
        return replace(
            task,
            client=client,
            estimate=task.time_limit,
            visitor=self.visitor(task, counts),
            summary=task.summary[:LONGEST_SUMMARY],
            reader=reader,
            traceparent=task_traces.checked(task.traceparent),
        )

    def record(self, record: SpaceRecord, client: str, host: str) -> SpaceRecord:
        """The record of its own Space, whatever the page calls itself. Raises RefusedError."""
        if not _REVISION.fullmatch(record.revision):
            raise RefusedError("a revision is named by 16 hexadecimal digits")
        mine = replace(record, name=self.space, client=client)
        if self.app_file is None:
            return mine
        source = source_at(self.app_file)
        script, root = str(source.app_file.resolve()), str(source.root.resolve())
        return replace(mine, app_file=script, root=root, alone=source.alone, host=host)


def is_task_id(text: str) -> bool:
    """Whether a page may name a task so."""
    return _TASK.fullmatch(text) is not None
