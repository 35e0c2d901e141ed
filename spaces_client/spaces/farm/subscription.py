"""A subscription at the broker that notices when nobody is at the other end any more.

Where a host or a router between has lost its power, the connection stays open, and nothing ever comes. redis-py sends a
PING now and then and misses its answer, but draws no conclusion.
"""

from __future__ import annotations

from redis import TimeoutError as BrokerSilent
from redis.client import PubSub

#: Seconds of silence after which the broker is asked whether it is there, once at each look for messages.
SILENCE = 2.0

#: Questions without an answer after which the connection counts as dead; its reader looks once a second.
MOST_UNANSWERED = 4


class Subscription(PubSub):
    """As redis-py's, but reading raises BrokerSilent on a dead connection. It may go on: it then subscribes again."""

    def check_health(self) -> None:
        """redis-py calls this before each look for messages."""
        connection = self.connection
        if connection is not None:
            connection.health_check_interval = SILENCE
            if self.health_check_response_counter >= MOST_UNANSWERED:
                self.health_check_response_counter = 0
                connection.disconnect()
                raise BrokerSilent("the broker has not answered on a connection that waits for its messages")
        super().check_health()
