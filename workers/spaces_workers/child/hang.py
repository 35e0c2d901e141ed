"""Writes into a Space's log where a task hung until its time limit, and which lost threads it may wait for.

A signal handler in C writes the Python stacks, which needs no interpreter lock; the worker sends the signal. The
message of this module needs the lock, so it is missing if the hanging thread holds it.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Sequence

from spaces_workers.forking.judgement import Loss
from spaces_workers.forking.libraries import Fate
from spaces_workers.forking.native_threads import innermost_packages

#: The signal that makes a child write the Python stacks of all threads to its log. No known library uses it.
SHOW_STACKS = signal.SIGRTMAX


def show_stacks_at_signal() -> None:
    """In a child: install the handler of SHOW_STACKS."""
    faulthandler.register(SHOW_STACKS, file=2, all_threads=True)


def words(label: str, seconds: float, native_thread: int, losses: Sequence[Loss]) -> str:
    """The message about a task that hung."""
    inside = innermost_packages(native_thread)
    where = f" inside {', '.join(inside)}" if inside else ""
    told = [
        f"zerofarm: {label} hung: for the last {seconds:.0f} s or more it computed nothing and waited{where} for "
        "another thread. The Python stacks of all threads are above"
    ]
    if lost := [str(loss) for loss in losses if loss.fate in (Fate.BROKEN, Fate.UNKNOWN)]:
        told.append(
            f"Its process is a fork, which lacks threads that were started before the launch: {', '.join(lost)}. If "
            "the function waits for one of them, start it there, or set fork = false for the Space in farm.toml"
        )
    return ". ".join(told)


def tell(label: str, seconds: float, native_thread: int, losses: Sequence[Loss]) -> None:
    """Write the message to the Space's log."""
    print(words(label, seconds, native_thread, losses), file=sys.stderr, flush=True)
