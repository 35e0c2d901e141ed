"""A zygote as its nursery knows it."""

from __future__ import annotations

import subprocess
import time

import psutil

from spaces_workers.forkserver.client import ForkedProcess
from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import ZygoteSpec


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
