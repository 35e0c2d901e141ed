"""The errors of a broker that cannot serve us for now, be it absent or refusing to write.

Whoever lives longer than one command catches `AWAY`, waits a little and tries again.
"""

from __future__ import annotations

from redis import ConnectionError as BrokerGone
from redis import OutOfMemoryError, ReadOnlyError, ResponseError
from redis import TimeoutError as BrokerSilent
from redis.connection import DefaultParser
from redis.exceptions import ClusterDownError, TryAgainError


class BrokerRefuses(ResponseError):
    """The broker cannot write its files, lacks its replicas, has become one itself, or is held up by a script."""


class Parser(DefaultParser):  # type: ignore[misc, valid-type]  # a variable, chosen by what is installed
    """Gives the refusals a class of their own for which redis-py has none."""

    EXCEPTION_CLASSES = DefaultParser.EXCEPTION_CLASSES | {
        "BUSY": BrokerRefuses,
        "MISCONF": BrokerRefuses,
        "NOREPLICAS": BrokerRefuses,
        "UNBLOCKED": BrokerRefuses,
    }


#: What a command raises when the broker is there but refuses it for now. It was not executed, or in part: a script.
REFUSES = (BrokerRefuses, ClusterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)

#: What a command raises when the broker is away, or refuses it for now. It may or may not have been executed.
AWAY = (BrokerGone, BrokerSilent, *REFUSES)
