"""Ends a worker whose login the broker does not take any more: no task reaches it, and no result leaves it."""

from __future__ import annotations

import logging
import os
import signal

from redis import AuthenticationError

from spaces_workers.joining.login import refused

logger = logging.getLogger(__name__)

#: Exit code of a worker whose login is refused (`EX_NOPERM` of sysexits.h).
LOGIN_REFUSED = 77


class Dismissal:
    """Whether this worker was dismissed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.exit_code = 0

    def dismiss(self, error: AuthenticationError) -> None:
        """Say why, and let Celery shut down without waiting for tasks, whose leases are lost."""
        logger.critical("%s. This worker exits", refused(self._url, error))
        self.exit_code = LOGIN_REFUSED
        os.kill(os.getpid(), signal.SIGQUIT)
