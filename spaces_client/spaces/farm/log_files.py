"""The log files of a farm on a host, below its state directory.

A Space of any name has files of its own: never those of another Space or of a process of the farm.
"""

from __future__ import annotations

import re
from pathlib import Path


def folder_of(state_dir: Path) -> Path:
    """The folder of the logs."""
    return state_dir / "logs"


def of_process(state_dir: Path, name: str) -> Path:
    """The log of a process of the farm's own."""
    return folder_of(state_dir) / f"{name}.log"


def of_page(state_dir: Path, page: str) -> Path:
    """The log of a page: of a Space, or of one of its revisions."""
    return folder_of(state_dir) / f"web-{page}.log"


def of_pages(state_dir: Path, space: str) -> list[Path]:
    """The logs of the latest two revisions that have written: one that failed, and the one that serves. Newest last."""
    revisions = re.compile(rf"web-{re.escape(space)}(\.\d+(-\d+)?)?\.log")
    found = [path for path in folder_of(state_dir).glob("web-*.log") if revisions.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.stat().st_mtime)[-2:]


def of_workers(state_dir: Path, space: str) -> Path:
    """The log of a Space's zygotes and children."""
    return folder_of(state_dir) / f"zygote-{space}.log"


def of_builds(state_dir: Path, space: str) -> Path:
    """The log of the making of a Space's environment, and of the trials of its revisions."""
    return folder_of(state_dir) / "builds" / f"{space}.log"


def spaces_with_pages(state_dir: Path) -> list[str]:
    """The Spaces whose pages have written."""
    prefix, suffix = "web-", ".log"
    names = (path.name[len(prefix) : -len(suffix)] for path in folder_of(state_dir).glob(f"{prefix}*{suffix}"))
    return sorted({re.sub(r"\.\d+(-\d+)?$", "", name) for name in names})
