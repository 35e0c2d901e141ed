"""Run a command that dies with the process that started it: `python die_with_starter.py PARENT COMMAND...`.

Linux sends the command SIGTERM when the *thread* that started it ends; so start it from a thread that lives as long
as the command must. This script runs before the command, instead of a `preexec_fn`, which would run Python in a fork
of a process with threads. It imports nothing of ours and costs about 10 ms. On other systems the command runs untied.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


def tied(command: Sequence[str]) -> list[str]:
    """Return the command line that runs `command` tied to the life of the thread that starts it."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def untie() -> None:
    """Outlive the starter from now on. To be called by the first thread of the process, to which the tie belongs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)


def main(parent: int, command: list[str]) -> None:
    """Tie this process to its parent and become `command`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before the tie was made; the signal would never come.
        if os.getppid() != parent:
            sys.exit(f"process {parent} ended before {command[0]} could start")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
