"""What tests share keeps the runs of several of them on one machine apart."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.harness import PORTS, free_port
from tests.waiting import PATIENCE

CHOOSE = """
import json
from tests.harness import PORTS, free_port
print(json.dumps([free_port() for _ in range(PORTS)]))
"""


def test_two_runs_at_once_choose_no_port_in_common() -> None:
    """A page that had not listened yet was taken for that of another run, which had chosen the same port."""
    ours = {free_port() for _ in range(PORTS)}
    command = [sys.executable, "-c", CHOOSE]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    assert not ours & {*json.loads(theirs)}
