"""`zerofarm quota`: the visitors' used and remaining GPU seconds, and a new start for one of them."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from spaces.errors import SpacesError
from spaces.farm.connection import connect
from spaces.farm.queue import settings
from spaces.farm.queue.control.audit import Action, Audit, this_user
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.quota import Ledger, Standing, clock, left, taken
from spaces.farm.queue.settings_file.tiers import visitor_name
from spaces_workers.commands import options
from spaces_workers.commands.broker_errors import naming_broker
from spaces_workers.commands.output import output

_COLUMNS = ("visitor", "tier", "used", "left", "reserved", "tasks", "more in")


def quota(
    visitor: Annotated[
        str | None,
        typer.Argument(
            metavar="[VISITOR]",
            help="A login, `token:HASH`, `address:IP` or `space:NAME`; all visitors if not given.",
        ),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Forget the seconds that the visitor has used.")] = False,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
    json: options.Json = False,
) -> None:
    """Show the used and the remaining quota of visitors."""
    if reset and not visitor:
        raise SpacesError("--reset needs a visitor: zerofarm quota VISITOR --reset")
    settings.share(state_dir)
    url = options.broker_url(redis_url, state_dir)
    with connect(url) as redis, naming_broker(url):
        ledger = Queue(redis).ledger
        name = _known(ledger, visitor) if visitor else ""
        if reset:
            ledger.reset(name)
            Audit(redis).note(Action(this_user(), "reset quota", name))
        standings = [ledger.standing(name)] if name else ledger.all()
    if json:
        print(json_format.dumps([asdict(each) for each in standings]))
        return
    output().print(_table(standings) if standings else _nobody())


def _known(ledger: Ledger, visitor: str) -> str:
    name = visitor_name(visitor)
    if not ledger.knows(name):
        raise SpacesError(f"the farm has not counted a visitor {name}: `zerofarm quota` lists those it has")
    return name


def _nobody() -> str:
    if settings.current().quota.enabled:
        return "No visitor has been counted so far."
    return (
        "No visitor has been counted so far. Quotas are off unless farm.toml of the farm's pages has "
        "[bold]enabled = true[/bold] in \\[quota]."
    )


def _table(standings: list[Standing]) -> Table:
    table = Table(title="Quotas (GPU seconds)", title_justify="left", box=None, header_style="dim")
    for column in _COLUMNS:
        table.add_column(column)
    for each in standings:
        quota = each.quota
        table.add_row(
            escape(settings.current().privacy.shown(each.visitor)),
            escape(quota.tier),
            f"{taken(quota.used)}" + ("" if quota.limit is None else f" of {left(quota.limit)}"),
            "no limit" if quota.left is None else f"{left(quota.left)}",
            f"{taken(each.reserved)}",
            str(each.tasks),
            clock(quota.resets_in) if quota.resets_in else "-",
        )
    return table
