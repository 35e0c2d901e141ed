"""The view that the operator's page is sent, made once for all who look."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path
from typing import Any

from redis import RedisError

from spaces.errors import FarmUnavailable
from spaces_app.home.operator import view
from spaces_app.home.operator.hosted import hosted
from spaces_app.home.snapshots import Snapshots

#: Seconds between two views that are sent to a page.
INTERVAL = 1.0


class SharedView:
    """The view as JSON, made at most once in INTERVAL for all who look. Safe to use from several threads."""

    def __init__(self, snapshots: Snapshots, state_dir: Path) -> None:
        self._snapshots = snapshots
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._latest = ""
        self._made_at = -math.inf

    def latest(self) -> str:
        """The view, at most INTERVAL old."""
        with self._lock:
            if time.monotonic() - self._made_at >= INTERVAL:
                self._latest = _view(self._snapshots, self._state_dir)
                self._made_at = time.monotonic()
            return self._latest


def _view(snapshots: Snapshots, state_dir: Path) -> str:
    try:
        found: dict[str, Any] = view.as_json(view.read_view(snapshots.queue, snapshots.latest()))  # Any: JSON
        found["hosted"] = hosted(state_dir)
    except (FarmUnavailable, RedisError) as error:
        found = {"problem": str(error)}
    return json.dumps(found)
