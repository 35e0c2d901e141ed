"""Celery as it comes, under the same faults: `python -m chaos --peer`, and the application of its workers.

Prefork, late acknowledgement, a visibility timeout. Workers that die are started again at once, as by systemd.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from celery import Celery
from celery.result import AsyncResult

from chaos.brokers import Brokers
from chaos.calls import Call, Kind
from chaos.mounts import SmallDisk

#: Seconds without an acknowledgement after which a message is delivered again; Celery's default is an hour.
VISIBILITY_TIMEOUT = 30

#: Seconds after which a call without an answer counts as lost, and between two looks at its result.
PATIENCE, INTERVAL = 90.0, 0.1

app = Celery("peer", broker=os.environ.get("PEER_URL", ""), backend=os.environ.get("PEER_URL", ""))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT, "socket_timeout": 10},
    result_backend_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT},
    redis_socket_timeout=10,
)


@app.task(name="work")  # type: ignore[untyped-decorator] # celery has no types
def work(token: str, seconds: float, notes: str) -> str:
    """The same as the function of the farm's Space."""
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{token}\n".encode())
    os.close(file)
    time.sleep(seconds)
    return token


class Peer:
    """Two workers of stock Celery."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = SmallDisk(folder / "memory", 1 << 20)
        self.brokers = Brokers(folder / "broker")
        self.notes = folder / "executions"
        self._stopping = threading.Event()
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def pids(self, kind: str) -> list[int]:
        """The processes of one kind; there are only workers, their children and the broker."""
        workers = [worker.pid for worker in self._workers.values()]
        if kind == "broker":
            return [self.brokers.primary.pid]
        if kind == "worker":
            return workers
        found = [psutil.Process(pid).children() for pid in workers if psutil.pid_exists(pid)]
        return [each.pid for some in found for each in some] if kind == "child" else []

    def stop(self) -> None:
        """Stop everything."""
        self._stopping.set()
        self._keeper.join()
        for worker in self._workers.values():
            worker.terminate()
            worker.wait(60)
        self.brokers.close()
        self.memory.close()

    def _keep(self) -> None:
        while not self._stopping.wait(0.2):
            for name in ("a", "b"):
                if name not in self._workers or self._workers[name].poll() is not None:
                    self._workers[name] = self._started(name)

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        options = ("worker", "-P", "prefork", "-c", "1", "-O", "fair", "-l", "WARNING", "-n", name)
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "chaos.peer", *options],
                env=os.environ | {"PEER_URL": self.brokers.url},
                stdout=log,
                stderr=log,
            )


class PeerCallers:
    """A program with a thread for each call."""

    def __init__(self, peer: Peer) -> None:
        self._notes = str(peer.notes)
        self._threads = ThreadPoolExecutor(max_workers=500)
        app.conf.update(broker_url=peer.brokers.url, result_backend=peer.brokers.url)

    async def call(self, call: Call) -> None:
        """Call, and note the answer in `call`."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._call, call)
        if not call.answers:
            call.answer(Kind.LOST)

    async def close(self) -> None:
        self._threads.shutdown(wait=False)

    def _call(self, call: Call) -> None:
        try:
            sent = app.send_task("work", (call.token, call.seconds, self._notes))
        except Exception as error:
            call.answer(Kind.REFUSED, str(error))
            return
        while time.monotonic() < call.begun_at + PATIENCE:
            if self._is_answered(call, sent):
                return
            time.sleep(INTERVAL)

    def _is_answered(self, call: Call, sent: AsyncResult) -> bool:
        try:
            if not sent.ready():
                return False
            if sent.successful():
                call.value(sent.result, call.token)
            else:
                call.error(f"{type(sent.result).__name__}: {sent.result}")
        except Exception:  # the backend is away: its caller looks again, which is more than Celery's own `get` does
            return False
        return True
