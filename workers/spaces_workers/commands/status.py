"""`zerofarm status`: show the status of a farm."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict

from spaces.farm.connection import connect
from spaces.farm.page_addresses import pages_path, read_pages
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.status import StatusReader
from spaces_workers.commands import options
from spaces_workers.commands.broker_errors import naming_broker
from spaces_workers.commands.output import output
from spaces_workers.commands.status_tables import tables
from spaces_workers.sandbox.description import Level
from spaces_workers.sandbox.level import in_words


def status(
    redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR, json: options.Json = False
) -> None:
    """Show workers, queues, Spaces and tasks."""
    url = options.broker_url(redis_url, state_dir)
    with connect(url) as redis, naming_broker(url):
        found = StatusReader(Queue(redis)).read(read_pages(pages_path(state_dir)))
    if json:
        print(json_format.dumps(asdict(found)))
        return
    console = output()
    if found.separation:
        console.print(in_words(Level(found.separation)))
    for table in tables(found):
        console.print(table)
