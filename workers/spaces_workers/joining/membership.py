"""The state that a host keeps of the farm that it has joined, for its user alone: the broker's URL, a key, its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from spaces import config
from spaces.errors import RefusedError
from spaces_workers.setup.farm_key import farm_key, fingerprint
from spaces_workers.setup.secret_file import secret, write_secret


def url_path(state_dir: Path) -> Path:
    """The file with the URL of the broker that this host has joined."""
    return state_dir / "joined.url"


def joined_url(state_dir: Path) -> str | None:
    """The URL of the farm's broker, if this host has joined a farm."""
    try:
        return url_path(state_dir).read_text().strip() or None
    except FileNotFoundError:
        return None


def use_kept_name(state_dir: Path) -> None:
    """Give this process the name under which this host has joined, unless the operator names it otherwise."""
    with suppress(FileNotFoundError):
        os.environ[config.HOST] = os.environ.get(config.HOST) or _name_path(state_dir).read_text().strip()


def keep_name(state_dir: Path, name: str) -> None:
    """Remember the name of this host, which may have been set for one command alone."""
    write_secret(_name_path(state_dir), name)


def _name_path(state_dir: Path) -> Path:
    return state_dir / "joined.host"


def keep(state_dir: Path, url: str, key: str) -> None:
    """Remember a farm."""
    write_secret(state_dir / "farm.key", key)
    write_secret(url_path(state_dir), url)


def check_key(state_dir: Path, theirs: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raise RefusedError if this host has another key than the farm with this fingerprint, and would go on using it."""
    given = bool(secret(config.FARM_KEY, environment))
    if not given and (joined_url(state_dir) or not (state_dir / "farm.key").exists()):
        return  # the farm's own takes its place
    mine = fingerprint(farm_key(state_dir, environment))
    if mine != theirs:
        raise RefusedError(f"the farm has the key {theirs}, this host has the key {mine} in {_place(state_dir, given)}")


def _place(state_dir: Path, given: bool) -> str:
    """Where the other key is, and what to do."""
    if given:
        return f"${config.FARM_KEY}. Unset that"
    return f"{state_dir / 'farm.key'}. Give another --state-dir, or remove that file if no farm of this host needs it"
