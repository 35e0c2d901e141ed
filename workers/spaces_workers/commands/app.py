"""All commands of `zerofarm`. Errors that a user can fix are printed in one line, without a traceback."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer

from spaces.errors import SpacesError
from spaces_workers.commands.cancel import cancel
from spaces_workers.commands.doctor import doctor
from spaces_workers.commands.flower import flower
from spaces_workers.commands.home import home
from spaces_workers.commands.quota import quota
from spaces_workers.commands.status import status
from spaces_workers.commands.up import up
from spaces_workers.commands.web import web
from spaces_workers.commands.worker import worker
from spaces_workers.doctor.spaces_package import DISTRIBUTION

app = typer.Typer(
    name="zerofarm",
    help="Your own ZeroGPU: many Gradio Spaces share a few GPUs, one task at a time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"zerofarm {importlib.metadata.version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def of_all_commands(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version.")
    ] = False,
) -> None:
    """Your own ZeroGPU: many Gradio Spaces share a few GPUs, one task at a time."""


for command in (up, worker, web, home, flower, status, cancel, quota, doctor):
    app.command()(command)


def run() -> None:
    """Run the command that this process was started with."""
    try:
        app()
    except SpacesError as error:
        sys.exit(f"zerofarm: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
