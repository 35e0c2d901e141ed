"""`asyncio` loops that run in a thread, for `run_coroutine_threadsafe`: the thread is lost, the selector is shared.

An epoll selector is one kernel object for all forks: registrations of one process affect the others.
"""

from __future__ import annotations

import selectors
import threading
from asyncio import selector_events
from typing import Any

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(objects: Objects) -> Revive | None:
    """Loops that ran in another thread run in a thread of the child, with their scheduled calls, without sockets."""
    here = threading.get_ident()
    loops: list[Any] = [  # Any: its attributes are Python's own
        each
        for each in objects.of(selector_events.BaseSelectorEventLoop)
        if each.is_running() and getattr(each, "_thread_id", here) != here
    ]

    def revive() -> None:
        for loop in loops:
            _renew(loop)
            threading.Thread(target=loop.run_forever, name="event loop", daemon=True).start()

    return revive if loops else None


def _renew(loop: Any) -> None:
    loop._thread_id = None
    loop._stopping = False
    loop._selector.close()  # this process's copy of the descriptor
    loop._selector = selectors.DefaultSelector()
    for end in (loop._ssock, loop._csock):
        end.close()
    loop._internal_fds -= 1
    loop._make_self_pipe()
