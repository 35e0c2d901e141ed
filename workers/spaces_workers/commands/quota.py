"""`zerofarm quota`: the visitors' used and remaining GPU seconds."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spaces.farm.connection import connect
from spaces.farm.queue import settings
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.quota import Standing, clock
from spaces.farm.queue.tiers import visitor_name
from spaces_workers.commands import options
from spaces_workers.commands.broker_errors import naming_broker

_COLUMNS = ("visitor", "tier", "used", "left", "reserved", "tasks", "more in")


def quota(
    visitor: Annotated[
        str | None,
        typer.Argument(
            metavar="[VISITOR]",
            help="A login, `token:HASH`, `address:IP` or `space:NAME`; all visitors if not given.",
        ),
    ] = None,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
    json: options.Json = False,
) -> None:
    """Show the used and the remaining quota of visitors."""
    settings.share(state_dir)
    url = options.broker_url(redis_url, state_dir)
    with connect(url) as redis, naming_broker(url):
        ledger = Queue(redis).ledger
        standings = [ledger.standing(visitor_name(visitor))] if visitor else ledger.all()
    if json:
        print(json_format.dumps([asdict(each) for each in standings]))
        return
    console = Console(highlight=False)
    console.print(_table(standings))
    if not settings.current().quota.enabled:
        console.print("Quotas are off: [bold]enabled = true[/bold] in \\[quota] of farm.toml turns them on.")


def _table(standings: list[Standing]) -> Table:
    table = Table(title="Quotas (GPU seconds)", title_justify="left", box=None, header_style="dim")
    for column in _COLUMNS:
        table.add_column(column)
    for each in standings:
        quota = each.quota
        table.add_row(
            escape(each.visitor),
            escape(quota.tier),
            f"{quota.used:.1f}" + ("" if quota.limit is None else f" of {quota.limit:g}"),
            "no limit" if quota.left is None else f"{quota.left:.1f}",
            f"{each.reserved:.1f}",
            str(each.tasks),
            clock(quota.resets_in) if quota.resets_in else "-",
        )
    return table
