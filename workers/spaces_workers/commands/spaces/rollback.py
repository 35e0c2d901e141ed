"""`zerofarm rollback`: serve an earlier revision of a Space."""

from __future__ import annotations

from typing import Annotated

import typer

from spaces_workers.commands import number_options, options
from spaces_workers.commands.spaces.asking import Space, ask, served


def rollback(
    space: Space,
    revision: Annotated[
        int | None,
        typer.Argument(
            metavar="[REV]",
            parser=number_options.whole_number("REV", 1),
            help="One of the three that are kept; the one before if not given.",
        ),
    ] = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Serve a kept revision of a Space again, once it has been tried. Nothing is fetched."""
    print(served(ask(state_dir, "rollback", space=space, revision=revision)))
