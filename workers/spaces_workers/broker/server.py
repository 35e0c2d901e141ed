"""The process of the farm's own broker: its start and its stop.

Only `embedded.py` uses this, under the lock of the state directory.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from pathlib import Path

from spaces_workers.broker.server_settings import ServerSettings
from spaces_workers.link import die_with_starter

log = logging.getLogger(__name__)

STOP_GRACE = 5.0
TAIL_LINES = 12
TAIL_BYTES = 8192


class Server:
    """A running server process. Start it with `Server.start`; it dies when this process dies."""

    def __init__(self, binary: Path, settings: ServerSettings, lock: int) -> None:
        self.binary = binary
        self.settings = settings
        self._log_start = settings.files.log.stat().st_size if settings.files.log.exists() else 0
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._started = threading.Event()
        self._keeper = threading.Thread(target=self._keep, args=(lock,), name="broker-keeper", daemon=True)

    @classmethod
    def start(cls, binary: Path, settings: ServerSettings, lock: int) -> Server:
        """Start `binary`, which inherits the file descriptor `lock`. It may not answer yet."""
        server = cls(binary, settings, lock)
        server._keeper.start()
        server._started.wait()
        if server._failure is not None:
            raise server._failure
        return server

    @property
    def is_running(self) -> bool:
        return self._keeper.is_alive()

    @property
    def returncode(self) -> int | None:
        return self._process.returncode if self._process else None

    @property
    def pid(self) -> int:
        """The process id; the wrapper keeps it when it execs the server."""
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    def stop(self) -> None:
        """TERM, grace, KILL; returns when the process is gone."""
        if self._process is None:
            return
        self._process.terminate()
        self._keeper.join(STOP_GRACE)
        if self.is_running:
            log.warning("broker %d did not end within %g s of SIGTERM and is killed", self.pid, STOP_GRACE)
            self._process.kill()
            self._keeper.join()

    def log_tail(self) -> str:
        """Return the last lines of its log since this start."""
        with self.settings.files.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_start, size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def _keep(self, lock: int) -> None:
        """Start the server and wait for its end in one thread: the kernel kills it when that thread ends."""
        try:
            self._process = self._spawn(lock)
        except OSError as error:
            self._failure = error
            return
        finally:
            self._started.set()
        self._process.wait()

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        with self.settings.files.log.open("ab") as output:
            return subprocess.Popen(
                die_with_starter.tied([str(self.binary), str(self.settings.files.configuration)]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                # Ctrl-C in the terminal must reach only the starter, which stops the broker last.
                start_new_session=True,
            )
