"""Finds the run directory of a farm on this host, for programs that are not told of it: large values then take 26 ms
through shared memory instead of 232 ms through the broker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from spaces.config import Config, default_host, default_run_dir


def with_run_dir(here: Config, workers: Iterable[Mapping[str, Any]]) -> Config:  # Any: plain data
    """The configuration with the run directory and host of a live worker of this host and user.

    Unchanged if a run directory or a host was configured, if a worker shares that, or if no worker is here. `workers`
    are the descriptions that workers give of themselves.
    """
    hosts = {str(each.get("run_dir", "")): each["host"] for each in workers}
    if here.run_dir != default_run_dir() or here.host != default_host(here.run_dir) or here.host in hosts.values():
        return here
    for name, host in hosts.items():
        if name and _is_ours(run_dir := Path(name)) and host == default_host(run_dir):
            return replace(here, run_dir=run_dir, host=host)
    return here


def _is_ours(run_dir: Path) -> bool:
    try:
        return run_dir.stat().st_uid == os.getuid()
    except OSError:
        return False
