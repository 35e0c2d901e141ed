"""Runs at the start of every Python process of a Space's environment, copied there as `_zerofarm_environment.py`.

It is independent of the farm: it imports only the standard library and finds everything below its environment. It
holds its locks until the process ends, by descriptors that a fork inherits and an exec does not.
"""

from __future__ import annotations

import fcntl
import os
import site
import sys

ROOT = sys.prefix

#: Names under which pip runs: as a module, or by its script.
PIPS = ("pip", "pip3", f"pip3.{sys.version_info.minor}")

#: Set for the processes that pip starts: a build may run pip again, which must not wait for its parent.
LOCKED = "ZEROFARM_PIP_LOCKED"


def find_packages() -> None:
    """Put the farm's `spaces` first on the search path, the farm's packages after the Space's own."""
    sys.path.insert(0, os.path.join(ROOT, "ours"))
    site.addsitedir(os.path.join(ROOT, "farm"))


def be_seen() -> None:
    """Lock the environment: it is not removed while a process runs in it."""
    fd = os.open(os.path.join(ROOT, "used"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    os.utime(fd)


def take_turns() -> None:
    """Let one pip run at a time: a Space's web process and its zygote may run the same script at the same time."""
    if not runs_pip(sys.orig_argv) or os.environ.get(LOCKED) == ROOT:
        return
    os.environ[LOCKED] = ROOT
    fd = os.open(os.path.join(ROOT, "pip.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)


def runs_pip(command: list[str]) -> bool:
    """Whether a Python command line runs pip."""
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
