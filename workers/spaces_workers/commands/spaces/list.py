"""`zerofarm list`: show the Spaces that are served."""

from __future__ import annotations

import json as json_format
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from spaces_workers.commands import options
from spaces_workers.commands.output import output
from spaces_workers.commands.spaces.asking import ask


def list(state_dir: options.StateDir = options.STATE_DIR, json: options.Json = False) -> None:  # noqa: A001 - the command
    """Show the Spaces that `zerofarm up` serves, with their revisions and where they come from."""
    found = ask(state_dir, "list")["spaces"]
    if json:
        print(json_format.dumps(found))
        return
    if not found:
        print("There is no Space yet: add the first with `zerofarm add`")
        return
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("space", "state", "revision", "since", "source", "address"):
        table.add_column(column)
    for each in found:
        table.add_row(*map(escape, _row(each)))
    output().print(table)


def _row(told: dict[str, Any]) -> tuple[str, ...]:  # Any: JSON
    state = " ".join(filter(None, (told["state"], told["problem"])))
    revision = f"{told['revision']} ({told['label']})" if told["revision"] else "-"
    since = datetime.fromtimestamp(told["made_at"]).isoformat(" ", "minutes") if told["made_at"] else "-"
    return told["space"], state, revision, since, told["source"], told["url"]
