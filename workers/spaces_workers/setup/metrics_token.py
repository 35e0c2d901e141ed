"""The token by which programs of other hosts read the farm's metrics."""

from __future__ import annotations

import secrets
from pathlib import Path

from spaces_workers.setup.farm_key import kept


def keep_metrics_token(state_dir: Path) -> str:
    """The token in the file `metrics.token`, generated if missing; the home page reads it there."""
    return kept(state_dir / "metrics.token", secrets.token_urlsafe(24))
