"""The memory of the host that each Space holds: of all its processes, shared pages in parts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaces_workers.nursery import roster
from spaces_workers.nursery.roster import Listed, warmth_of
from spaces_workers.up.host_memory import proportional_bytes

MB = 10**6

#: Fills memory, forks, and says that it has.
PARENT_AND_CHILD = """
import os, time
filled = b"x" * {shared}
if os.fork() == 0:
    mine = b"y" * {own}
    print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def family(shared: int, own: int) -> Iterator[int]:
    """A process with a child; yields its id."""
    script = PARENT_AND_CHILD.format(shared=shared, own=own)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_memory_that_processes_share_counts_once_and_their_children_count_too() -> None:
    with family(200 * MB, 100 * MB) as pid:
        found = proportional_bytes({"space": [pid], "gone": [2**22 + 1], "idle": []})
    assert 300 * MB < found["space"] < 390 * MB
    assert found["gone"] == found["idle"] == 0


def test_the_zygotes_of_a_nursery_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = roster.roster_path(tmp_path, tmp_path / "logs")
    assert roster.read(path) == []
    listed = [Listed("digits", 7), Listed("digits", 8, False), Listed("names", 0, False)]
    roster.write(path, listed)
    assert roster.read(path) == listed


def test_a_space_is_ready_when_a_zygote_is_and_warming_while_one_is_made_or_will_be() -> None:
    listed = [Listed("digits", 7), Listed("digits", 8, False), Listed("names", 0, False)]
    assert [warmth_of(space, listed) for space in ("digits", "names", "search")] == ["ready", "warming", "cold"]
