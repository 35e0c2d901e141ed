"""`zerofarm add`: serve a Space, or a new revision of it."""

from __future__ import annotations

from typing import Annotated

import typer

from spaces_workers.commands import options
from spaces_workers.commands.spaces.asking import ask, served
from spaces_workers.up.hosting.origin import Local, name_from, origin_of


def add(
    source: Annotated[
        str, typer.Argument(metavar="PATH|GIT-URL[@REV]|hf:OWNER/NAME[@REV]", help="Where its files come from.")
    ],
    name: Annotated[str, typer.Option("--name", help="Its name; that of its folder or repository if not given.")] = "",
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Serve a Space. If it is served already, serve its files of now as a new revision, once they have been tried."""
    origin = origin_of(source)
    told = ask(
        state_dir,
        "add",
        source=str(origin.path) if isinstance(origin, Local) else source,
        name=name or name_from(origin),
    )
    print(served(told))
