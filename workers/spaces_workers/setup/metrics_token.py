"""The token by which programs of other hosts read the farm's metrics."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from spaces_workers.setup.farm_key import kept

#: The operator's choice of a token, instead of the file; only the home page gets it.
VARIABLE = "ZEROFARM_METRICS_TOKEN"


def given(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The part of the operator's environment that has the token."""
    return {VARIABLE: environment[VARIABLE]} if environment.get(VARIABLE) else {}


def keep_metrics_token(state_dir: Path) -> str:
    """The token in the file `metrics.token`, generated if missing; the home page reads it there."""
    return kept(state_dir / "metrics.token", secrets.token_urlsafe(24))
