"""What this machine lacks for a test of separated Spaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spaces_workers.sandbox.control_groups import CONTROLLERS, limited

_SHOW_AS_OTHER = """
import os, sys
from spaces_workers.sandbox import system_calls as calls
from spaces_workers.sandbox.owners import Owners

source, target = sys.argv[1:]
mapping = os.open(Owners().mapping(source, 60600), os.O_RDONLY)
calls.unshare(calls.CLONE_NEWNS)
calls.mount("none", "/", flags=calls.MS_REC | calls.MS_PRIVATE)
calls.bind(source, os.open(target, os.O_PATH), 0, mapping, with_submounts=False)
"""


def need_mapped_owners(folder: Path) -> None:
    """Skip the test where the file system of `folder` cannot show its files as another user's: overlayfs, NFS."""
    target = folder / "target"
    target.mkdir(exist_ok=True)
    command = [sys.executable, "-c", _SHOW_AS_OTHER, str(folder), str(target)]
    tried = subprocess.run(command, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"a Space may not write to {folder} here: {tried.stderr.splitlines()[-1]}")


def need_limits(folder: Path) -> None:
    """Skip the test where not every limit of a Space can be set."""
    if missing := set(CONTROLLERS) - limited(folder):
        pytest.skip(f"no control groups here for {', '.join(sorted(missing))}")
