"""Discards the payloads that nobody reads: of handles that are left, and of values that a worker's death made void.

On a thread of its own, because a handle may be left in a coroutine, in a garbage collection, or by the end of the
process. What cannot be discarded, because the broker is away or the process is killed, is swept when it is old.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from spaces.errors import FarmUnavailable, RefusedError
from spaces.farm.task import Task

if TYPE_CHECKING:
    from spaces.farm.links.link import Link
    from spaces.farm.payloads.packer import Packer
    from spaces.farm.payloads.payload import Payload

logger = logging.getLogger(__name__)

#: Seconds that the end of a process waits for what is still to be discarded.
PATIENCE = 3.0

#: Seconds for which a task is tried to be withdrawn, and between two attempts.
WITHDRAWAL_PATIENCE, RETRY_INTERVAL = 600.0, 1.0


class Leftovers:
    """Knows the tasks of a process whose outcome nobody has read yet."""

    def __init__(self) -> None:
        self._followed: dict[str, Task] = {}
        self._closing = threading.Event()
        self._left: SimpleQueue[Task | Payload | _Withdrawal | None] = (
            SimpleQueue()
        )  # may be filled in a garbage collection
        self._process = os.getpid()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        atexit.register(self.close)

    def serve(self, link: Link, packer: Packer) -> None:
        """From now on, discard what is left: `link` knows the tasks, `packer` reaches the payloads."""
        self._link, self._packer = link, packer

    def follow(self, handle: object, task: Task) -> None:
        """Leave the task when `handle` is gone, or the process ends."""
        self._followed[task.id] = task
        weakref.finalize(handle, self.leave, task).atexit = False  # `close` leaves what is followed then
        self._start()

    def read(self, task: Task) -> None:
        """The task has ended, and its outcome is being read: nothing is left over."""
        self._followed.pop(task.id, None)

    def keep(self, task: Task) -> None:
        """Another process may read the task: it is not left when its handle is gone, or this process ends."""
        self._followed.pop(task.id, None)

    def leave(self, task: Task) -> None:
        """Nobody reads the task any more. Returns at once, and may be called anywhere."""
        if self._followed.pop(task.id, None) is not None:
            self._left.put(task)

    def drop(self, payload: Payload) -> None:
        """Nobody reads this value. Returns at once."""
        self._left.put(payload)

    def withdraw(self, task: Task) -> None:
        """Make sure that a task never runs whose caller was told that it was not queued. Returns at once."""
        self._left.put(_Withdrawal(task))
        self._start()

    def close(self) -> None:
        """Leave every task that is followed, and wait for a moment until all is discarded."""
        atexit.unregister(self.close)
        if self._thread is None or os.getpid() != self._process:
            return
        for task in list(self._followed.values()):
            self.leave(task)
        self._closing.set()
        self._left.put(None)
        self._thread.join(PATIENCE)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="zerofarm-leftovers", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (left := self._left.get()) is not None:
            try:
                self._discard(left)
            except (OSError, RefusedError) as error:  # the farm does not answer, or does not admit us
                logger.debug("what nobody reads is left to be swept: %s", error)
            except Exception:
                logger.exception("what nobody reads could not be discarded")

    def _discard(self, left: _Left) -> None:
        if isinstance(left, _Withdrawal):
            self._withdraw(left)
        elif not isinstance(left, Task):
            self._packer.discard(left)
        else:
            for payload in self._link.unfollow(left):
                self._packer.discard(payload)

    def _withdraw(self, withdrawal: _Withdrawal) -> None:
        """Withdraw a task as soon as the broker is back; meanwhile, nothing else could be discarded there either."""
        while not self._closing.is_set() and time.monotonic() - withdrawal.since < WITHDRAWAL_PATIENCE:
            try:
                self._link.withdraw(withdrawal.task.id)
                break
            except FarmUnavailable as error:
                logger.debug("task %s is withdrawn later: %s", withdrawal.task.id, error)
                self._closing.wait(RETRY_INTERVAL)


@dataclass(frozen=True, slots=True)
class _Withdrawal:
    task: Task
    since: float = field(default_factory=time.monotonic)


_Left: TypeAlias = "Task | Payload | _Withdrawal"
