"""The words in a Space's log when a task has hung until its time limit: where it waits, and for whose lost threads.

The stacks of Python are written by a signal's handler in C, which needs no lock of the interpreter's; the worker sends
it. What is told here needs the lock, and is missing where the hanging thread holds it.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Sequence

from spaces_workers.forking.judgement import Loss
from spaces_workers.forking.libraries import Fate
from spaces_workers.forking.native_threads import innermost_packages

#: Has a child write the Python stacks of all its threads to its log. No Space and no library is known to use it.
SHOW_STACKS = signal.SIGRTMAX


def show_stacks_at_signal() -> None:
    """In a child: from now on SHOW_STACKS does that."""
    faulthandler.register(SHOW_STACKS, file=2, all_threads=True)


def words(label: str, seconds: float, native_thread: int, losses: Sequence[Loss]) -> str:
    """What the log says of a task that hung."""
    inside = innermost_packages(native_thread)
    where = f" inside {', '.join(inside)}" if inside else ""
    told = [
        f"zerofarm: {label} hung: for the last {seconds:.0f} s or more it computed nothing and waited{where} for "
        "another thread. The Python stacks of all threads are above"
    ]
    if lost := [str(loss) for loss in losses if loss.fate in (Fate.BROKEN, Fate.UNKNOWN)]:
        told.append(
            f"Its process is a fork, which lacks threads that were started before the launch: {', '.join(lost)}. If "
            "one of them is waited for, start it in the function, or have the operator set fork = false for this Space"
        )
    return ". ".join(told)


def tell(label: str, seconds: float, native_thread: int, losses: Sequence[Loss]) -> None:
    """Write them to the Space's log."""
    print(words(label, seconds, native_thread, losses), file=sys.stderr, flush=True)
