"""The memory of a CPU stand-in: never over its size, and free again when a process is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spaces_workers.gpu.standin_memory import OutOfMemoryError, StandInMemory, started_at
from tests.waiting import wait_until

_HOLDER = """
import sys, time
from pathlib import Path
from spaces_workers.gpu.standin_memory import StandInMemory
StandInMemory(Path(sys.argv[1]), 100).take(60)
print("holds", flush=True)
time.sleep(600)
"""


def test_more_than_there_is_cannot_be_taken(tmp_path: Path) -> None:
    memory = StandInMemory(tmp_path / "memory", 100)
    memory.take(60)
    with pytest.raises(OutOfMemoryError, match="41 bytes were asked of a stand-in that has 100, 60 of them in use"):
        memory.take(41)
    memory.give_back(20)
    memory.take(60)
    assert memory.used_bytes == 100


def test_processes_share_it_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    memory = StandInMemory(tmp_path / "memory", 100)
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "memory")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(OutOfMemoryError):
            memory.take(50)
        os.kill(holder.pid, signal.SIGKILL)
        wait_until(lambda: not started_at(holder.pid))  # nobody has waited for it yet
        memory.take(100)
    assert memory.used_bytes == 100
