"""Which variables of the operator's environment a Space's processes do not inherit."""

from __future__ import annotations

import os
from collections.abc import Mapping

from spaces.config import FARM_KEY, URL

#: The broker's address, with its password, and the farm's keys.
WITHHELD = (URL, FARM_KEY, "REDIS_URL", "FLOWER_BASIC_AUTH")


def without_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The operator's environment without the broker's URL and the farm's keys, as a Space may have it."""
    return {name: value for name, value in environment.items() if name not in WITHHELD}
