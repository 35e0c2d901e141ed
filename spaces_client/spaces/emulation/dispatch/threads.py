"""Modes belong to threads, and libraries load weights in pools of them: every new thread enters the emulation."""

from __future__ import annotations

import threading

from spaces.emulation.dispatch.mode import current, leave_thread
from spaces.emulation.patching.patches import Patches


def install(patches: Patches) -> None:
    current()
    # The inner bootstrap and not `run`, which subclasses override without calling it.
    bootstrap = vars(threading.Thread)["_bootstrap_inner"]

    def enter_and_run(self: threading.Thread) -> None:
        current()
        try:
            bootstrap(self)
        finally:
            # Left to the thread's C++ destructors the mode would be released after the thread counts as ended;
            # if Python finalizes meanwhile they cannot have the GIL any more, and the process aborts.
            leave_thread()

    patches.function(threading.Thread, "_bootstrap_inner", enter_and_run)
