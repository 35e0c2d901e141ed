"""Which variables of the operator's environment a Space's processes do not inherit."""

from __future__ import annotations

import os
from collections.abc import Mapping

from spaces.config import FARM_KEY, STATE_DIR, TOKEN, URL

#: The broker's address, with its password, and the farm's keys.
_SECRET = (URL, FARM_KEY, TOKEN, "REDIS_URL")

#: The same as files: $NAME_FILE.
SECRETS = (*_SECRET, *(f"{name}_FILE" for name in _SECRET), "FLOWER_BASIC_AUTH", "ZEROFARM_METRICS_TOKEN")

#: These, and the folder in which the farm keeps its key.
WITHHELD = (*SECRETS, STATE_DIR)


def without_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The operator's environment without the broker's URL and the farm's keys, for the farm's own processes."""
    return {name: value for name, value in environment.items() if name not in SECRETS}


def for_spaces(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The operator's environment as a Space may have it."""
    return {name: value for name, value in environment.items() if name not in WITHHELD}
