"""Who is at fault when a run fails: the function, the script, or the farm."""

from __future__ import annotations

from typing import cast

import pytest

from spaces.farm.events import CrashCause, Crashed
from spaces.farm.payloads.payload import Payload
from spaces.farm.task import FunctionName, Task
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.run.failures import verdict_on
from spaces_workers.worker.run.run_state import Preparing, Running, TryAgain
from spaces_workers.worker.workplace import Workplace

TASK = Task("digits", FunctionName("__main__", "generate"), Payload(b""))
WORKPLACE = cast(Workplace, None)


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError(), RuntimeError("can't start")])
def test_an_error_of_the_worker_blames_no_function(error: Exception) -> None:
    """It arrived as if the function had raised it, and the page showed nothing of it."""
    before = verdict_on(error, Preparing(), TASK, WORKPLACE, 0.0)
    text = f"could not be made, because the worker failed: {error}"
    assert before == TryAgain(Crashed(text, cause=CrashCause.FARM))
    meanwhile = verdict_on(error, Running(cast(ChildLink, None)), TASK, WORKPLACE, 2.0)
    assert meanwhile == Crashed(f"was given up, because the worker failed: {error}", 2.0, CrashCause.FARM)
