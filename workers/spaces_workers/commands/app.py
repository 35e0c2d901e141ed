"""All commands of `zerofarm`. A fault that a person can mend is one line, not a traceback."""

from __future__ import annotations

import sys

import typer

from spaces.errors import SpacesError
from spaces_workers.commands import status, worker
from spaces_workers.commands.quota import quota
from spaces_workers.commands.up import up

app = typer.Typer(
    name="zerofarm",
    help="Your own ZeroGPU: many Gradio Spaces share a few GPUs, one task at a time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (
    up,
    worker.worker,
    worker.web,
    worker.home,
    worker.flower,
    status.status,
    status.cancel,
    quota,
    status.doctor,
):
    app.command()(command)


def run() -> None:
    """Run the command that this process was started with."""
    try:
        app()
    except SpacesError as error:
        sys.exit(f"zerofarm: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
