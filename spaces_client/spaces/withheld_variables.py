"""The variables of the operator's environment that a Space's processes inherit."""

from __future__ import annotations

import os
from collections.abc import Mapping

from spaces.config import FARM_KEY, TOKEN
from spaces.role import URL

#: The broker's address, with its password, and the farm's keys; $NAME_FILE may name a file instead.
AS_FILES = (URL, FARM_KEY, TOKEN, "REDIS_URL")

#: Secrets of the home page alone: the token of its metrics, and the headers for a collector of traces.
_OF_HOME = ("ZEROFARM_METRICS_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")

SECRETS = (*AS_FILES, *(f"{name}_FILE" for name in AS_FILES), "FLOWER_BASIC_AUTH", *_OF_HOME)

#: Prefixes of the farm's own variables. A Space that writes traces of its own names its collector itself.
_OWN = ("ZEROFARM_", "OTEL_")

#: Of the farm's own variables a Space inherits these: the folder of `spaces.aoti`, and the mark of `up/remains.py`. It
#: gets more from those that start it, each for a reason.
INHERITED = ("ZEROFARM_COMPILED_DIR", "ZEROFARM_STARTED_BY")


def without_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The operator's environment without the broker's URL and the farm's keys, for the farm's own processes."""
    return {name: value for name, value in environment.items() if name not in SECRETS}


def for_home(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The secrets that only the home page gets, beside `without_secrets`."""
    return {name: environment[name] for name in _OF_HOME if environment.get(name)}


def for_spaces(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The operator's environment as a Space may have it."""
    return {name: value for name, value in without_secrets(environment).items() if _may_have(name)}


def _may_have(name: str) -> bool:
    return not name.startswith(_OWN) or name in INHERITED
