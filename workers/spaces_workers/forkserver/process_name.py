"""The command line and the environment of a fork, as `ps` and other tools show them.

The kernel reads them from the memory where it put them at the start of the program. Only the fork server's own are
there, so its starter adds a long argument for room. See proc_pid_cmdline(5) and proc_pid_environ(5).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

#: An argument that only makes room.
ROOM = "-" * 512

#: Where `/proc/PID/stat` has the addresses of the first argument and of the end of the last one, after the name; and
#: the same for the environment.
_ARG_START, _ARG_END, _ENV_START, _ENV_END = 45, 46, 47, 48

#: How variables begin by which the farm knows a process; they are shown first, because there may not be room for all.
_OURS = "ZEROFARM_"


def name_process(arguments: Sequence[str]) -> None:
    """Show `python ARGUMENTS` as the command line of this process, cut off where there is no room."""
    start, end = _place(_ARG_START, _ARG_END)
    text = " ".join((sys.executable, *arguments)).encode()[: end - start - 2]
    ctypes.memmove(start, text + b"\0", len(text) + 1)
    ctypes.memset(end - 1, 1, 1)  # no NUL at the very end: the kernel then shows the text up to its first one


def show_environment(environment: Mapping[str, str]) -> None:
    """Show these variables as the environment of this process, as many as there is room for.

    To be called when nothing of the old environment is in use: `os.environ` has been cleared.
    """
    start, end = _place(_ENV_START, _ENV_END)
    shown = b""
    for name in sorted(environment, key=lambda each: not each.startswith(_OURS)):
        entry = os.fsencode(f"{name}={environment[name]}") + b"\0"
        if len(shown) + len(entry) < end - start:
            shown += entry
    ctypes.memmove(start, shown.ljust(end - start, b"\0"), end - start)


def _place(start: int, end: int) -> tuple[int, int]:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[start]), int(fields[end])
