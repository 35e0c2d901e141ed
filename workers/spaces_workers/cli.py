"""`zerofarm`: the command line of a farm. A fault that a person can mend is one line, not a traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from spaces.errors import SpacesError
from spaces_workers.commands import looking, parts
from spaces_workers.commands.up import up

P = ParamSpec("P")

app = typer.Typer(
    name="zerofarm",
    help="Your own ZeroGPU: many Gradio Spaces share a few GPUs, one task at a time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _plainly(command: Callable[P, None]) -> Callable[P, None]:
    """Print the farm's own errors as one line, and leave with code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except SpacesError as error:
            print(f"zerofarm: {error}", file=sys.stderr)
            raise typer.Exit(1) from None

    return run


for command in (up, parts.worker, parts.web, parts.home, parts.flower, looking.status, looking.cancel, looking.doctor):
    app.command()(_plainly(command))


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
