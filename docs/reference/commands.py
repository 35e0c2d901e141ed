"""Makes the reference of the commands of `zerofarm`, from their declarations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import typer

from spaces_workers.commands import options
from spaces_workers.commands.command_table import application

INTRODUCTION = """\
# Commands

`zerofarm COMMAND --help` says the same. This page is made from the code, by `make reference`. Commands find the farm of
this user by the state directory; those with `--redis-url` also by `$ZEROFARM_URL` or `$REDIS_URL`:
[environment.md](environment.md).
"""

#: Defaults that depend on the user and the host.
PLACES = {options.STATE_DIR: "~/.local/state/zerofarm", options.RUN_DIR: "/dev/shm/zerofarm-UID"}

#: Commands and parameters are click's, or those of typer's own copy of it.
Command: TypeAlias = Any
Parameter: TypeAlias = Any


def commands() -> str:
    """The page."""
    found = dict(_all("zerofarm", typer.main.get_group(application())))
    rows = [f"| [`{name}`](#{name.replace(' ', '-')}) | {_help(command)[0]} |" for name, command in found.items()]
    parts = (_part(name, command) for name, command in found.items())
    return "\n".join([INTRODUCTION, "| command | |", "|---|---|", *rows, "", *parts]).rstrip()


def _all(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    """The commands below a group, with their full names; a command itself."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, below in command.commands.items():
        yield from _all(f"{name} {word}", below)


def _part(name: str, command: Command) -> str:
    context = typer.Context(command)
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    usage = " ".join([name, *map(_usual, command.collect_usage_pieces(context))])
    table = ["", "| | | default |", "|---|---|---|", *(_row(each, context) for each in shown)] if shown else []
    return "\n".join([f"## {name}", "", f"    {usage}", "", "\n\n".join(_help(command)), *table, ""])


def _usual(piece: str) -> str:
    """`{SPACE}`, `[[SPACE]]` and `[[SPACE]...]...`, which depend on the version of typer, as people write them."""
    return re.sub(r"^\[(\[[^]]*\](?:\.\.\.)?)\](?:\.\.\.)?$", r"\1", piece.strip("{}"))


def _row(parameter: Parameter, context: typer.Context) -> str:
    names, _ = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        names = names.partition(" <")[0]
    cells = [f"`{names}`".replace("|", r"\|"), _text(parameter.help) + _variable(parameter), _default(parameter)]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _default(parameter: Parameter) -> str:
    default = parameter.default
    if isinstance(default, Path):
        return f"`{PLACES.get(default, default)}`"
    return "" if default is None or isinstance(default, bool) or default in ("", []) else f"`{default}`"


def _variable(parameter: Parameter) -> str:
    return f" Also `${parameter.envvar}`." if parameter.envvar else ""


def _help(command: Command) -> list[str]:
    """The paragraphs of its help, a line each."""
    return [_text(paragraph) for paragraph in inspect.cleandoc(command.help or "").split("\n\n")]


def _text(text: str | None) -> str:
    """In one line, with variables as code."""
    line = " ".join((text or "").split()).replace("|", r"\|")
    return re.sub(r"(?<!`)(\$[A-Z_]+)", r"`\1`", line)
