"""A farm of the tree that is on the path, with one worker on a CPU stand-in, and with Flower."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from driver import serve
from redis import Redis

import spaces

with suppress(ImportError):
    from benchmarks.farms import our_farm  # where the old version has it
with suppress(ImportError):
    from benchmarks.calls.farms import our_farm


#: Writes frames to a stream as a worker without a farm would, one after the other.
WRITER = """
import os, sys
from redis import Redis
redis = Redis(unix_socket_path=os.environ["BROKER_SOCKET"], password=os.environ["BROKER_PASSWORD"] or None)
for _ in range(int(sys.argv[1])):
    redis.xadd("bare", {"e": b"x" * int(sys.argv[2])})
"""


class FarmSystem:
    """Calls of a script, by `spaces.Farm`."""

    def __init__(self, client: spaces.Farm, redis: Redis) -> None:
        self._client = client
        self._redis = redis
        self.more = {"frames": self.frames, "bare": self.bare}

    def submit(self) -> Callable[[], object]:
        return self._client.submit("no-op", "echo", 1).result

    def frames(self, count: int, size: int) -> list[float]:
        """Seconds from a call to its first frame, and from there to the last one."""
        called = time.perf_counter()
        stream = iter(self._client.submit("no-op", "frames", count, "x" * size))
        next(stream)
        first = time.perf_counter()
        for _ in stream:
            pass
        return [first - called, time.perf_counter() - first]

    def bare(self, count: int, size: int) -> float:
        """Seconds from the first to the last entry of a stream that another process writes meanwhile."""
        login = self._redis.connection_pool.connection_kwargs
        environment = {"BROKER_SOCKET": login["path"], "BROKER_PASSWORD": login.get("password") or ""}
        command = [sys.executable, "-c", WRITER, str(count), str(size)]
        with subprocess.Popen(command, env=os.environ | environment) as writer:
            self._read(1, writer)
            started = time.perf_counter()
            self._read(count - 1, writer)
            seconds = time.perf_counter() - started
        self._redis.delete("bare")
        self._last = b"0"
        return seconds

    _last = b"0"

    def _read(self, count: int, writer: subprocess.Popen[bytes]) -> None:
        while count > 0:
            if writer.poll():
                raise RuntimeError(f"the writer of the bare stream ended with status {writer.returncode}")
            found = self._redis.xread({"bare": self._last}, block=1000, count=1 if count == 1 else None)
            for _, entries in cast("list[tuple[bytes, list[tuple[bytes, object]]]]", found):
                count -= len(entries)
                self._last = entries[-1][0]


def main() -> None:
    """Start a farm and Flower, and measure when told to."""
    with our_farm() as farm, farm.client("no-op") as client:
        environment = os.environ | {"ZEROFARM_URL": farm.broker.url, "FLOWER_BASIC_AUTH": "operator:password"}
        command = [sys.executable, "-m", "spaces_workers.flower", "--port", "0"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as flower:
            assert flower.stdout is not None
            flower.stdout.readline()
            try:
                serve(FarmSystem(client, farm.redis))
            finally:
                flower.terminate()


if __name__ == "__main__":
    main()
