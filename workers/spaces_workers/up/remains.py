"""Ends what the processes of a farm have left behind, wherever it went: it has inherited a variable of `zerofarm up`.

A page's script may start processes that leave its group. They end when the page does, else when the farm stops, else
when it is started again, because `zerofarm up` itself may be killed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

#: The state directory of the `zerofarm up` that started a process, and for a page its Space.
VARIABLE = "ZEROFARM_STARTED_BY"


def of_farm(state_dir: Path) -> str:
    """The value that all processes of a farm have, or that their values begin with."""
    return f"{state_dir}:"


def of_page(state_dir: Path, space: str) -> str:
    """The value that a page and all that it starts have."""
    return f"{of_farm(state_dir)}{space}"


def end_remains_of_page(value: str) -> None:
    """Kill every process that has this value."""
    _kill(value, exactly=True)


def end_remains_of_farm(state_dir: Path) -> None:
    """Kill every process that an earlier start, or this one, has left; only while no process of the farm may run."""
    _kill(of_farm(state_dir), exactly=False)


def _kill(value: str, *, exactly: bool) -> None:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found = process.environ().get(VARIABLE, "")
            if process.pid != os.getpid() and (found == value if exactly else found.startswith(value)):
                process.kill()
