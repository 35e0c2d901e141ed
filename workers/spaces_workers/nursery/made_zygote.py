"""A zygote as its nursery knows it."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import psutil

from spaces_workers.forkserver.client import ForkedProcess
from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import Unmade, ZygoteLost, ZygoteSpec

#: Signals by which the kernel, an operator or the farm kills a process.
_KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class MadeZygote:
    """One zygote: being made, ready, or failed."""

    def __init__(self, spec: ZygoteSpec, process: subprocess.Popen[bytes] | ForkedProcess, channel: Channel) -> None:
        self.spec = spec
        self.process = process
        self.channel = channel
        self.ready = False
        self.weights_bytes = 0
        self.waiting: list[Channel] = []  #: workers that asked while it was being made
        self.used_at = time.monotonic()

    @property
    def own_bytes(self) -> int:
        try:
            return int(psutil.Process(self.process.pid).memory_full_info().uss)
        except psutil.NoSuchProcess:
            return 0


def death_of(status: int, log: Path) -> Unmade | ZygoteLost:
    """The death of a zygote that sent nothing. A script may exit or crash its process, but does not kill it so."""
    if -status in _KILLS:
        return ZygoteLost(f"its zygote was killed by {signal.Signals(-status).name}")
    how = f"exited with code {status}" if status >= 0 else f"was killed by {signal.Signals(-status).name}"
    return Unmade(f"its process {how} before the launch; see {log}")
