"""The command line of a fork, as `ps` and other tools show it.

The kernel reads it from the memory where it put the arguments at the start of the program. Only the fork server's own
arguments are there, so its starter adds a long one for room. See proc_pid_cmdline(5).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path

#: An argument that only makes room.
ROOM = "-" * 512

#: Where `/proc/PID/stat` has the addresses of the first argument and of the end of the last one, after the name.
_ARG_START, _ARG_END = 45, 46


def name_process(arguments: Sequence[str]) -> None:
    """Show `python ARGUMENTS` as the command line of this process, cut off where there is no room."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    text = " ".join((sys.executable, *arguments)).encode()[: end - start - 2]
    ctypes.memmove(start, text + b"\0", len(text) + 1)
    ctypes.memset(end - 1, 1, 1)  # no NUL at the very end: the kernel then shows the text up to its first one
