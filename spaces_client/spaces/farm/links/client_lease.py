"""A web process's lease: its tasks run only while it lasts. It expires when the process dies."""

from __future__ import annotations

from collections.abc import Callable

from spaces.farm.queue.broker_thread import BrokerThread
from spaces.farm.queue.queue import Queue


class ClientLease(BrokerThread):
    """Extends a client's lease until it is stopped. Then the tasks that the client still waits for are cancelled.

    lease = ClientLease(lambda: Queue(connect(url)), client)
    lease.start()
    """

    def __init__(self, connect: Callable[[], Queue], client: str) -> None:
        super().__init__(f"lease of client {client}", connect)
        self._client = client

    def _round(self, queue: Queue) -> None:
        queue.leases.client_beat(self._client)
        queue.expire()  # workers do it too, but none may be alive
        self._answered()
        self._stopping.wait(queue.rules.client_beat)

    def _leave(self, queue: Queue) -> None:
        queue.leases.client_leave(self._client)
