"""The errors of a broker that is temporarily absent, or refuses to write.

Long-running callers catch `AWAY`, wait a moment and try again.
"""

from __future__ import annotations

from redis import ConnectionError as BrokerGone
from redis import OutOfMemoryError, ReadOnlyError, ResponseError
from redis import TimeoutError as BrokerSilent
from redis.connection import DefaultParser
from redis.exceptions import ClusterDownError, TryAgainError


class BrokerRefuses(ResponseError):
    """The broker cannot write its files, lacks its replicas, has become a replica, or is blocked by a script."""


class Parser(DefaultParser):  # type: ignore[misc, valid-type]  # a variable, chosen by what is installed
    """Raises BrokerRefuses for refusals that have no class in redis-py."""

    EXCEPTION_CLASSES = DefaultParser.EXCEPTION_CLASSES | {
        "BUSY": BrokerRefuses,
        "MISCONF": BrokerRefuses,
        "NOREPLICAS": BrokerRefuses,
        "UNBLOCKED": BrokerRefuses,
    }


#: Errors of a command that the broker refuses for now. It was not executed; a script may have been executed in part.
REFUSES = (BrokerRefuses, ClusterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)

#: Errors of a command while the broker is absent, or refuses it for now. It may or may not have been executed.
AWAY = (BrokerGone, BrokerSilent, *REFUSES)
