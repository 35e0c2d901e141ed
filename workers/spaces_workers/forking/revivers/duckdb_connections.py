"""DuckDB: in a fork a database computes with one thread, and ends the process if more are requested.

Its threads must have ended before the fork: then a child may request them again.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive

logger = logging.getLogger(__name__)

_ASK = "select current_setting('threads')"


def prepare(objects: Objects) -> Revive | None:
    """The zygote's databases give up their threads; a child's have as many as the Space's had.

    By cursors, which leave alone the result that a connection still holds.
    """
    duckdb: Any = sys.modules["duckdb"]  # Any: it is not typed here
    open_ones = [(each, _threads_of(each)) for each in objects.referred(duckdb.DuckDBPyConnection)]
    used = [(each, threads) for each, threads in open_ones if threads > 1]  # all are read before the first is changed
    for each, _ in used:
        each.cursor().execute("set threads = 1")

    def revive() -> None:
        for each, threads in used:
            each.cursor().execute(f"set threads = {threads}")

    return revive if used else None


def _threads_of(connection: Any) -> int:
    try:
        return int(connection.cursor().execute(_ASK).fetchone()[0])
    except Exception as error:  # it is closed, or in a transaction that has failed
        logger.debug("the threads of a database could not be read: %s", error)
        return 1
