"""Asks a running `zerofarm up`, and shows what it says meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from spaces.farm.links import operator_line
from spaces.farm.queue.control.audit import this_user

Space = Annotated[str, typer.Argument(metavar="SPACE", help="The name of a Space, as in `zerofarm list`.")]


def ask(state_dir: Path, action: str, patience: float | None = None, /, **arguments: object) -> Any:  # Any: JSON
    """Have something done for the user of this process.

    Raises OperatorFault, and TimeoutError if nothing comes for `patience` seconds.
    """
    return operator_line.ask(state_dir, action, this_user(), _show, patience, **arguments)


def served(told: dict[str, Any]) -> str:  # Any: JSON
    """A Space that is served now, in words."""
    revision = f" is served at revision {told['revision']} ({told['label']})" if told["revision"] else " is served"
    return f"{told['space']}{revision}: {told['url']}"


def _show(note: str) -> None:
    print(note, file=sys.stderr, flush=True)
