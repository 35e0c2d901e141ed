"""The zygotes of a host, in a file: the nursery writes it, `zerofarm up` counts their memory and tells who is warm."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from spaces_workers.nursery.client import socket_path

#: `cold`: a Space has no zygote, and none is being made.
Warmth: TypeAlias = Literal["ready", "warming", "cold"]


class Listed(NamedTuple):
    """A zygote, or one that will be made."""

    space: str
    pid: int  #: 0: it is not being made yet
    is_ready: bool = True


def roster_path(run_dir: Path, log_dir: Path) -> Path:
    """The file of a farm's nursery on this host."""
    return socket_path(run_dir, log_dir).with_suffix(".zygotes")


def write(path: Path, zygotes: Iterable[Listed]) -> None:
    """Replace the file."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(list(zygotes)))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path) -> list[Listed]:
    """The zygotes; none if there is no nursery."""
    try:
        return [Listed(*each) for each in json.loads(path.read_text())]
    except FileNotFoundError:
        return []


def warmth_of(space: str, listed: Iterable[Listed]) -> Warmth:
    """Whether a task of a Space finds a zygote."""
    own = [each.is_ready for each in listed if each.space == space]
    return "ready" if any(own) else "warming" if own else "cold"
