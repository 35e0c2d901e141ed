"""How tests wait: for a condition, as long as the slowest machine may take, and never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds after which a condition that a test waits for, or an answer, counts as never coming. No process is started,
#: stopped or asked in less on a machine that is busy, and nobody waits for longer than it takes.
PATIENCE = 120.0

#: The same as browsers count.
PATIENCE_MS = PATIENCE * 1000

#: The same for a page or a whole farm, whose scripts and zygotes import a lot; one runs a compiler.
START_PATIENCE = 480.0


def wait_until(
    condition: Callable[[], T], patience: float = PATIENCE, otherwise: Callable[[], object] = lambda: ""
) -> T:
    """The first truthy value of `condition`. Fails the test when none comes, with what `otherwise` says."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{condition} did not come true within {patience:g} s {otherwise()}")
        time.sleep(0.01)
    return value
