"""Clears away the remains of earlier starts of a farm on this host: processes, temporary files, control groups."""

from __future__ import annotations

import os
from pathlib import Path

from spaces_workers.sandbox import space_folders
from spaces_workers.sandbox.plan import Sandboxes
from spaces_workers.up import remains


def clear_away(state_dir: Path, sandboxes: Sandboxes) -> None:
    """End and remove them, and mark the processes of this start. Call it before any process of the farm is started."""
    os.environ[remains.VARIABLE] = remains.of_farm(state_dir)
    remains.end_remains_of_farm(state_dir)
    space_folders.clear_temporary(state_dir)
    sandboxes.remove_groups()
