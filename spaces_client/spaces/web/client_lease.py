"""A web process's lease: while it stands, its tasks are worth running. Ends with the process, however that dies."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from spaces.farm.queue.queue import Queue
from spaces.farm.queue.scripts import AWAY

logger = logging.getLogger(__name__)


class ClientLease:
    """Beats for a client on a thread of its own. `queue` opens the connection that only this thread uses.

    lease = ClientLease(lambda: Queue(connect(url)), client)
    lease.start()
    """

    def __init__(self, queue: Callable[[], Queue], client: str) -> None:
        self.client = client
        self._connect = queue
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zerofarm-client-lease", daemon=True)

    def start(self) -> None:
        """Begin to beat; the first beat is sent at once."""
        self._thread.start()

    def stop(self) -> None:
        """Give the lease back: tasks that this client still waits for are cancelled."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        queue = self._connect()
        with queue.redis:
            while True:
                try:
                    if self._stopping.is_set():
                        queue.leases.client_leave(self.client)
                        return
                    queue.leases.client_beat(self.client)
                    queue.expire()  # as the workers do, of whom there may be none
                except AWAY as error:
                    logger.debug("the lease of client %s could not be extended: %s", self.client, error)
                    if self._stopping.is_set():
                        return
                self._stopping.wait(queue.rules.client_beat)
