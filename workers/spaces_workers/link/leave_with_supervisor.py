"""Ends a worker whose supervisor has died, even while it runs a task.

The kernel sends SIGTERM when the supervisor dies, and a worker then finishes its task, however long that takes. No
supervisor is left to kill it after a grace period, so the worker does so itself.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from spaces_workers.link.readiness import is_readable

#: Seconds that a worker may live after its supervisor has died.
GRACE = 3.0


def leave_with_parent(grace: float = GRACE) -> None:
    """Have this process killed `grace` seconds after its parent process has died."""
    parent = os.pidfd_open(os.getppid())
    threading.Thread(target=_watch, args=(parent, grace), name="tether", daemon=True).start()


def _watch(parent: int, grace: float) -> None:
    is_readable(parent, None)
    time.sleep(grace)
    os.kill(os.getpid(), signal.SIGKILL)
