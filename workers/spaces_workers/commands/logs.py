"""`zerofarm logs`: what a Space has written, by `tail`, which follows a log also when it is put aside."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from spaces.errors import SpacesError
from spaces_workers.commands import number_options, options

LINES = 100


def logs(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="The name of a Space, as in `zerofarm status`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written, until Ctrl-C.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Only of its page, with the making of its environment.")] = False,
    worker: Annotated[bool, typer.Option("--worker", help="Only of its processes on workers.")] = False,
    lines: Annotated[
        int,
        typer.Option(
            "--lines", "-n", metavar="N", parser=number_options.whole_number("--lines", 0), help="From the end."
        ),
    ] = LINES,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Show the log of a Space: of its page, and of its processes on the workers of this host."""
    files = _files(state_dir / "logs", space, web=web, worker=worker)
    how = ["--follow=name", "--retry"] if follow else []
    os.execvp("tail", ["tail", f"--lines={lines}", *how, "--", *map(str, files)])


def _of_page(folder: Path, space: str) -> list[Path]:
    """The logs of the latest two revisions that have written: of one that failed, and of the one that serves."""
    revisions = re.compile(rf"web-{re.escape(space)}(\.\d+(-\d+)?)?\.log")
    found = [path for path in folder.glob("web-*.log") if revisions.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.stat().st_mtime)[-2:]


def _files(folder: Path, space: str, *, web: bool, worker: bool) -> list[Path]:
    """The logs that are asked for. Raises SpacesError for a Space without any."""
    both = web == worker
    wanted = _of_page(folder, space) * (web or both) + [folder / f"{space}.log"] * (worker or both)
    found = [path for path in wanted if path.is_file()]
    if not found or "/" in space:
        prefix, suffix = "web-", ".log"
        names = (path.name[len(prefix) : -len(suffix)] for path in folder.glob(f"{prefix}*{suffix}"))
        known = sorted({re.sub(r"\.\d+(-\d+)?$", "", name) for name in names})
        kind = "" if both else " of this kind"
        raise SpacesError(
            f"Space {space!r} has no log{kind} in {folder}, which has logs of: {', '.join(known) or 'none'}"
        )
    return found
