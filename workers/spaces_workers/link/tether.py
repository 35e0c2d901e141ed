"""A worker must not outlive the supervisor that started it, even while a task of it runs.

The kernel sends SIGTERM when the supervisor dies, and a worker takes that as word to finish what it does. Nobody is
there any more to end its patience, so it does so itself.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time

#: Seconds that a worker has for its end after its starter has died.
GRACE = 3.0


def leave_with_parent(grace: float = GRACE) -> None:
    """Have this process killed `grace` seconds after the process that started it has died."""
    parent = os.pidfd_open(os.getppid())
    threading.Thread(target=_watch, args=(parent, grace), name="tether", daemon=True).start()


def _watch(parent: int, grace: float) -> None:
    select.select([parent], [], [])
    time.sleep(grace)
    os.kill(os.getpid(), signal.SIGKILL)
