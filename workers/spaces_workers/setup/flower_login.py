"""Flower's login: the operator's, or one that is generated once and kept in a file for the farm's user alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from spaces_workers.setup.farm_key import kept

VARIABLE = "FLOWER_BASIC_AUTH"

USER = "zerofarm"


def login_path(state_dir: Path) -> Path:
    """The file with the generated login, `user:password`."""
    return state_dir / "flower.login"


def flower_login(state_dir: Path, environment: Mapping[str, str] = os.environ) -> str:
    """`$FLOWER_BASIC_AUTH` if it is set, else the login in the file, generated if missing."""
    return environment.get(VARIABLE) or kept(login_path(state_dir), f"{USER}:{secrets.token_urlsafe(12)}")
