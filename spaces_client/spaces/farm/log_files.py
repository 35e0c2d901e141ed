"""The log files of a Space, below `logs` in the state directory of a host. Their writers use the same names."""

from __future__ import annotations

import re
from pathlib import Path


def of_pages(folder: Path, space: str) -> list[Path]:
    """The logs of the latest two revisions that have written: one that failed, and the one that serves. Newest last."""
    revisions = re.compile(rf"web-{re.escape(space)}(\.\d+(-\d+)?)?\.log")
    found = [path for path in folder.glob("web-*.log") if revisions.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.stat().st_mtime)[-2:]


def of_workers(folder: Path, space: str) -> Path:
    """The log of its zygotes and children."""
    return folder / f"{space}.log"


def of_builds(folder: Path, space: str) -> Path:
    """The log of the making of its environment, and of the trials of its revisions."""
    return folder / "builds" / f"{space}.log"


def spaces_with_pages(folder: Path) -> list[str]:
    """The Spaces whose pages have written."""
    prefix, suffix = "web-", ".log"
    names = (path.name[len(prefix) : -len(suffix)] for path in folder.glob(f"{prefix}*{suffix}"))
    return sorted({re.sub(r"\.\d+(-\d+)?$", "", name) for name in names})
