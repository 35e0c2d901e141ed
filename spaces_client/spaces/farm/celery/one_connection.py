"""A client of the broker for the commands of one thread at a time."""

from __future__ import annotations

from typing import Any

from redis import Redis


class OneConnection(Redis):
    """Without redis-py's retries, lock and measurements, which take as long as a small command.

    It is made with `single_connection_client`. The connection closes itself at an error in the middle of an answer, and
    the next command opens it again.
    """

    def execute_command(self, *args: Any, **options: Any) -> Any:  # Any: redis-py's own
        """Send a command and return its answer. Raises redis's errors."""
        connection: Any = self.connection
        connection.send_command(*args)
        return self.parse_response(connection, args[0], **options)  # type: ignore[no-untyped-call]
