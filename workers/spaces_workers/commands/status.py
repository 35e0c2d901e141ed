"""`zerofarm status`: show the status of a farm."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from pathlib import Path

from spaces.farm.farm_status import FarmStatus, from_json
from spaces.farm.links.operator_line import OperatorFault
from spaces.farm.page_addresses import pages_path, read_pages
from spaces_workers.commands import options
from spaces_workers.commands.output import output
from spaces_workers.commands.spaces.asking import ask
from spaces_workers.commands.status_tables import tables
from spaces_workers.sandbox.description import Level, in_words

#: Seconds for `zerofarm up` to answer: one that is stopped still accepts.
PATIENCE = 5.0


def status(
    redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR, json: options.Json = False
) -> None:
    """Show workers, queues, Spaces and tasks."""
    found = _status(redis_url or options.named_in_environment(), state_dir)
    if json:
        print(json_format.dumps(asdict(found)))
        return
    console = output()
    if found.separation:
        console.print(in_words(Level(found.separation)))
    for table in tables(found):
        console.print(table)


def _status(named: str | None, state_dir: Path) -> FarmStatus:
    """The status as the running `zerofarm up` tells it; if a broker is named, or none answers, as the broker has it."""
    if not named:
        try:
            # An older one does not know the action, and would record each request as one that failed.
            if read_pages(pages_path(state_dir)).tells_status:
                return from_json(ask(state_dir, "status", PATIENCE))
        except (OperatorFault, OSError, ValueError, LookupError, TypeError):
            pass  # it is of another user, has ended, hangs, or answers in another form
    return _of_broker(options.broker_url(named, state_dir), state_dir)


def _of_broker(url: str, state_dir: Path) -> FarmStatus:
    # Only here, because to import the broker's client takes longer than to ask `zerofarm up`.
    from spaces.farm.connection import connect
    from spaces.farm.queue.queue import Queue
    from spaces.farm.queue.status import StatusReader
    from spaces_workers.commands.broker_errors import naming_broker

    with connect(url) as redis, naming_broker(url):
        return StatusReader(Queue(redis)).read(read_pages(pages_path(state_dir)))
