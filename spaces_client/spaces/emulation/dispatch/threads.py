"""Enters the emulation in every new thread, because modes belong to threads, and libraries load weights in threads."""

from __future__ import annotations

import threading

from spaces.emulation.dispatch.mode import current, enter_process, leave_thread
from spaces.emulation.patching.patches import Patches
from spaces.space_line import remember_start


def install(patches: Patches) -> None:
    enter_process()
    # The inner bootstrap, not `run`, because subclasses override `run` without calling it.
    bootstrap = vars(threading.Thread)["_bootstrap_inner"]

    def enter_and_run(self: threading.Thread) -> None:
        current()
        try:
            bootstrap(self)
        finally:
            # The thread's C++ destructors would release the mode after the thread counts as ended; if Python
            # finalizes meanwhile they cannot get the GIL any more, and the process aborts.
            leave_thread()

    patches.function(threading.Thread, "_bootstrap_inner", enter_and_run)

    start = threading.Thread.start

    def remember_and_start(self: threading.Thread) -> None:
        remember_start(self)
        start(self)

    patches.function(threading.Thread, "start", remember_and_start)
