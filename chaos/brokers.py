"""The broker of a farm under test: a server that can be killed, paused and filled, and its replica."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from redis import Redis, RedisError

from chaos.link import Link
from chaos.mounts import SmallDisk
from spaces.farm.connection import connect
from spaces_workers.broker.binary import find_server
from tests.harness import free_port
from tests.waiting import wait_until

#: Bytes of the disk that the broker's files lie on, where this machine lets us mount one.
DISK_BYTES = 256 << 20


class Server:
    """One server, with its data in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self._command = [
            *(str(find_server()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *(
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
                "--save",
                "",
                "--logfile",
                str(folder.parent.parent / "log"),
            ),
            *("--repl-diskless-load", "swapdb", "--repl-diskless-sync-delay", "0"),
            *("--replica-ignore-disk-write-errors", "yes"),  # else a replica ends itself when the disk is full
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it on the data that it had, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(self.answers)

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def answers(self) -> bool:
        try:
            with self.connection() as redis:
                return bool(redis.ping())
        except RedisError:
            return False

    def connection(self) -> Redis:
        """A connection that does not go through the link."""
        return connect(f"redis://127.0.0.1:{self.port}/0", retry=None)


class Brokers:
    """A server at an address that stays, and its replica."""

    def __init__(self, folder: Path) -> None:
        self.disk = SmallDisk(folder / "disk", DISK_BYTES)
        self.primary = Server(self.disk.folder / "first")
        self._replica = Server(self.disk.folder / "second")
        self.primary.start()
        self._follow()
        self.link = Link(self.primary.port)
        self.url = f"redis://{self.link.address}/0"

    def fail_over(self) -> None:
        """Make the replica the broker, as soon as it has all data, and the old broker its replica."""
        wait_until(self.primary.answers)
        with self.primary.connection() as old, self._replica.connection() as new:
            old.execute_command("CLIENT", "PAUSE", "20000", "WRITE")
            wait_until(lambda: _offset(new) == _offset(old) and new.info("replication")["master_link_status"] == "up")
            new.replicaof("NO", "ONE")
        self.primary.kill()
        self.primary, self._replica = self._replica, self.primary
        self.link.move(self.primary.port)
        self._follow()

    def rewrite(self) -> None:
        """Have the files written anew, as `zerofarm up` does after a full disk: see `broker/full_disk.py`."""
        for server in (self.primary, self._replica):
            with suppress(RedisError), server.connection() as redis:
                redis.bgrewriteaof()

    def close(self) -> None:
        self.link.close()
        self.primary.kill()
        self._replica.kill()
        self.disk.close()

    def _follow(self) -> None:
        self._replica.start()
        with self._replica.connection() as redis:
            redis.replicaof("127.0.0.1", str(self.primary.port))


def _offset(redis: Redis) -> int:
    told = redis.info("replication")
    return int(told["master_repl_offset"] if told["role"] == "master" else told["slave_repl_offset"])
