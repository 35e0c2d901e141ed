"""The caller's error for each end of a task without a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.errors import ChildCrashed, QueueTimeout, TaskCancelled, TaskError, TaskLost, TimeLimitExceeded
from spaces.farm.events import Cancelled, Crashed, End, Expired, Lost, TimedOut
from spaces.farm.payloads.packer import Packer
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.values.codec import Codec
from spaces.web.outcome import outcome
from tests.broker.support import make_task

WAITED = "it waited longer than 12 h"


@pytest.mark.parametrize(
    ("end", "kind", "words"),
    [
        (Cancelled("the visitor left"), TaskCancelled, "was cancelled: the visitor left"),
        (Cancelled(WAITED), TaskCancelled, f"was cancelled: {WAITED}"),  # somebody's own words
        (Expired(WAITED), QueueTimeout, f"was cancelled: {WAITED}"),
        (TimedOut(61.0, 60.0), TimeLimitExceeded, "was stopped after 61 s: it asked for 60 s"),
        (Crashed("exited with code 3"), ChildCrashed, "crashed: its process exited with code 3"),
        (Lost(3), TaskLost, "was lost: 3 workers died while they ran it"),
    ],
)
def test_each_end_has_an_error_of_its_own(tmp_path: Path, end: End, kind: type[TaskError], words: str) -> None:
    packer = Packer(Codec(bytes(32)), SharedMemoryStore(tmp_path, "host"))
    with pytest.raises(TaskError, match=rf"^digits\.generate {words}") as caught:
        outcome(make_task(), end, packer)
    assert type(caught.value) is kind
