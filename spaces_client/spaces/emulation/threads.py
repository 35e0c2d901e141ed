"""Modes belong to threads, and libraries load weights in pools of them: every new thread enters the emulation."""

from __future__ import annotations

import threading

from spaces.emulation.mode import current
from spaces.emulation.patches import Patches


def install(patches: Patches) -> None:
    current()
    # The inner bootstrap and not `run`, which subclasses override without calling it.
    bootstrap = vars(threading.Thread)["_bootstrap_inner"]

    def enter_and_run(self: threading.Thread) -> None:
        current()
        bootstrap(self)

    patches.function(threading.Thread, "_bootstrap_inner", enter_and_run)
