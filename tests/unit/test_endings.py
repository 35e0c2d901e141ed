"""The end of a run, in a step and without."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from spaces.farm.events import Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Ended
from spaces.farm.task import Lease
from spaces_workers.worker.run.ending import Spans, write_outcome
from spaces_workers.worker.run.run_state import Over, Reported
from tests.broker.support import make_task

DONE = Succeeded(Payload(b"result"))


def test_a_step_that_lost_its_lease_has_found_no_answer_to_a_claim() -> None:
    """The broker claims nothing then. The channel waited for a bell, although tasks might wait."""
    answers: list[object] = []
    step: Any = SimpleNamespace(arguments=list, answered=answers.append)  # Any, here and below: what is asked of them
    writer: Any = SimpleNamespace(end_and_claim=lambda *_: (Ended.NOT, None))
    workplace: Any = SimpleNamespace(
        clear=lambda *_: None, carrier=SimpleNamespace(discard=lambda _: None, discard_value_of=lambda _: None)
    )
    lease = Lease(make_task(), "w1", 1)
    write_outcome(Over(DONE, Reported(DONE)), lease, writer, workplace, Spans(0.0, 1.0), step)
    assert answers == []
