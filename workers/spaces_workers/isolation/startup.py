"""Runs at the start of every Python process of a Space's environment, where it lies as `_zerofarm_environment.py`.

It knows nothing of the farm: it imports the standard library alone and finds everything below its environment. What
it holds, it holds until the process ends, by descriptors that a fork inherits and an exec does not.
"""

from __future__ import annotations

import fcntl
import os
import site
import sys

ROOT = sys.prefix

#: Names under which pip is run: as a module, or by its script.
PIPS = ("pip", "pip3", f"pip3.{sys.version_info.minor}")

#: Set for what pip itself starts: a build may run pip again, which must not wait for its parent.
LOCKED = "ZEROFARM_PIP_LOCKED"


def find_packages() -> None:
    """The farm's `spaces` comes before everything, the farm's packages after the Space's own."""
    sys.path.insert(0, os.path.join(ROOT, "ours"))
    site.addsitedir(os.path.join(ROOT, "farm"))


def be_seen() -> None:
    """Hold the environment: one that a process runs in is not cleared away."""
    fd = os.open(os.path.join(ROOT, "used"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    os.utime(fd)


def take_turns() -> None:
    """One pip at a time: a Space's web process and its zygote run the same script, at the same time."""
    if not runs_pip(sys.orig_argv) or os.environ.get(LOCKED) == ROOT:
        return
    os.environ[LOCKED] = ROOT
    fd = os.open(os.path.join(ROOT, "pip.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)


def runs_pip(command: list[str]) -> bool:
    """Whether a command line of Python runs pip."""
    for place, word in enumerate(command[1:], 1):
        if word in ("-m", "-c"):
            return word == "-m" and command[place + 1 : place + 2] == ["pip"]
        if not word.startswith("-"):
            return os.path.basename(word) in PIPS
    return False


if __name__ == "_zerofarm_environment":
    find_packages()
    be_seen()
    take_turns()
