"""`zerofarm logs`: what a Space has written, by `tail`, which follows a log also when it is put aside."""

from __future__ import annotations

import os
from enum import Enum, auto
from pathlib import Path
from typing import Annotated

import typer

from spaces.errors import SpacesError
from spaces.farm import log_files
from spaces_workers.commands import number_options, options

LINES = 100


class Kind(Enum):
    """The writer of a log."""

    BUILD = auto()
    WEB = auto()
    WORKER = auto()


def logs(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="The name of a Space, as in `zerofarm status`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written, until Ctrl-C.")] = False,
    build: Annotated[
        bool, typer.Option("--build", help="Only of the making of its environment and the trials of its revisions.")
    ] = False,
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
    asked = {Kind.BUILD: build, Kind.WEB: web, Kind.WORKER: worker}
    files = _files(state_dir, space, *(kind for kind, is_asked in asked.items() if is_asked))
    how = ["--follow=name", "--retry"] if follow else []
    os.execvp("tail", ["tail", f"--lines={lines}", *how, "--", *map(str, files)])


def _files(state_dir: Path, space: str, *kinds: Kind) -> list[Path]:
    """The logs that are asked for. Raises SpacesError for a Space without any."""
    wanted = {
        Kind.BUILD: [log_files.of_builds(state_dir, space)],
        Kind.WEB: log_files.of_pages(state_dir, space),
        Kind.WORKER: [log_files.of_workers(state_dir, space)],
    }
    found = [path for kind in kinds or (Kind.WEB, Kind.WORKER) for path in wanted[kind] if path.is_file()]
    if not found or "/" in space:
        known = ", ".join(log_files.spaces_with_pages(state_dir)) or "none"
        kind = " of this kind" if kinds else ""
        folder = log_files.folder_of(state_dir)
        raise SpacesError(f"Space {space!r} has no log{kind} in {folder}, which has logs of: {known}")
    return found
