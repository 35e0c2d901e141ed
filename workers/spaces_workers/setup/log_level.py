"""How much a worker logs."""

from __future__ import annotations

import os

#: How much a worker logs: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
VARIABLE = "ZEROFARM_LOG_LEVEL"


def log_level() -> str:
    """As Python and Celery name it."""
    return os.environ.get(VARIABLE, "INFO")
