"""`zerofarm audit`: show what operators did."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from spaces.farm.queue.control.audit import Action, Audit
from spaces_workers.commands import number_options, options
from spaces_workers.commands.output import output
from spaces_workers.commands.queue.known import farm_queue

LINES = 50


def audit(
    lines: Annotated[
        int,
        typer.Option(
            "--lines", "-n", metavar="N", parser=number_options.whole_number("--lines", 1), help="The latest so many."
        ),
    ] = LINES,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
    json: options.Json = False,
) -> None:
    """Show what operators did with the farm: when, who, what."""
    with farm_queue(redis_url, state_dir) as queue:
        found = Audit(queue.redis).latest(lines)
    if json:
        print(json_format.dumps([asdict(each) for each in found]))
        return
    output().print(_table(found))


def _table(actions: list[Action]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("when", "who", "did", "to", "more"):
        table.add_column(column)
    for each in actions:
        when = datetime.fromtimestamp(each.at).astimezone().isoformat(" ", "seconds")
        table.add_row(when, *map(escape, (each.by, each.verb, each.target, each.detail)))
    return table
