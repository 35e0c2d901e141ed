"""The zygotes of a host, in a file: the nursery writes it, `zerofarm up` counts their memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from spaces_workers.nursery.client import socket_path


def roster_path(run_dir: Path, log_dir: Path) -> Path:
    """The file of a farm's nursery on this host."""
    return socket_path(run_dir, log_dir).with_suffix(".zygotes")


def write(path: Path, zygotes: Iterable[tuple[str, int]]) -> None:
    """Replace the file: the Space and the process id of each zygote."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(list(zygotes)))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path) -> list[tuple[str, int]]:
    """The Space and the process id of each zygote; none if there is no nursery."""
    try:
        return [(str(space), int(pid)) for space, pid in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
