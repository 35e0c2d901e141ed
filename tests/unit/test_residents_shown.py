"""`zerofarm status` and the home page say how much each Space holds on each GPU, and how it is loaded."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

import spaces_app.home
from spaces.farm.farm_status import FarmStatus, ResidentStatus, WorkerStatus
from spaces_workers.commands.status_tables import tables

GIB = 2**30

WORKER = WorkerStatus(
    *("gpu0@host", "host", 1, "NVIDIA H200", ("large",), 140 * GIB, 21 * GIB, ("draw.paint (pid 7)",), ("speak",), 3),
    residents=(
        ResidentStatus("draw", "on the device", 20 * GIB, 0),
        ResidentStatus("speak", "asleep, pinned", GIB, 12 * GIB),
    ),
)

#: Runs a function of the page without a browser.
SCRIPT = """
const source = require("fs").readFileSync(process.argv[1], "utf8");
const found = source.match(/const ON_DEVICE.*|function (resident|gigabytes)\\([^]*?\\n}/g).join("\\n");
console.log(new Function(`${found}; return resident;`)()(JSON.parse(process.argv[2])));
"""


def test_the_command_shows_levels_and_bytes() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(*tables(FarmStatus(0.0, "", "", (WORKER,), (), (), (), ())))
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "draw (20.0 GiB)" in shown
    assert "speak (asleep, pinned, 1.0 GiB + 12.0 GiB of the host)" in shown


@pytest.mark.skipif(shutil.which("node") is None, reason="it needs node to run the page's code")
@pytest.mark.parametrize(
    ("resident", "words"),
    [
        (WORKER.residents[0], "draw (20.0 GiB)"),
        (WORKER.residents[1], "speak (asleep, pinned, 1.0 GiB, 12.0 GiB of the host)"),
    ],
)
def test_the_home_page_shows_the_same(resident: ResidentStatus, words: str) -> None:
    page = Path(spaces_app.home.__file__).parent / "static" / "lists.js"
    told = {name: getattr(resident, name) for name in ("space", "level", "held_bytes", "host_bytes")}
    command = ["node", "-e", SCRIPT, str(page), json.dumps(told)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == words
