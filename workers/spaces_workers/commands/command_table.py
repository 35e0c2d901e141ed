"""All commands of `zerofarm`. Errors that a user can fix are printed in one line, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from spaces.errors import SpacesError

#: The module of each; its function, or group of commands, has the name of the module.
COMMANDS = {
    **{name: name for name in ("up", "worker", "web", "home", "flower", "status", "cancel", "quota", "doctor")},
    **{name: name for name in ("logs", "new", "operator")},
    **{name: f"spaces.{name}" for name in ("add", "remove", "restart", "rollback", "list", "open", "dev")},
    **{name: f"queue.{name}" for name in ("pause", "resume", "drain", "undrain", "pin", "unpin")},
    **{name: f"queue.{name}" for name in ("load", "retry", "audit", "ping")},
    **{name: f"remote.{name}" for name in ("gateway", "token", "secrets", "join")},
}


def application(words: Sequence[str] = ()) -> typer.Typer:
    """All commands, or the one that `words` begin with: to import all takes longer than `zerofarm status` works."""
    app = typer.Typer(
        name="zerofarm",
        help="Your own ZeroGPU: many Gradio Spaces share a few GPUs, one task at a time.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(of_all_commands)
    wanted = [word for word in words[:1] if word in COMMANDS]
    for name in wanted or COMMANDS:
        module = COMMANDS[name]
        command = getattr(import_module(f"spaces_workers.commands.{module}"), module.rpartition(".")[2])
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from spaces_workers.doctor.spaces_package import DISTRIBUTION

        print(f"zerofarm {version(DISTRIBUTION)}")
        raise typer.Exit


def of_all_commands(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version.")
    ] = False,
) -> None:
    """Your own ZeroGPU: many Gradio Spaces share a few GPUs, one task at a time."""


def run() -> None:
    """Run the command that this process was started with."""
    try:
        application(sys.argv[1:])()
    except SpacesError as error:
        sys.exit(f"zerofarm: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
