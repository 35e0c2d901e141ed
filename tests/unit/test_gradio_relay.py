"""What a function says through Gradio becomes events of a bounded size, whose fields are plain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from spaces.farm import wire
from spaces.farm.events import Bar, Progressed, Said
from spaces.functions.gradio_relay import _QueueStandIn


def told(say: Any) -> Any:  # Any: a method call of Gradio's queue, and the event that it becomes
    events: list[Progressed | Said] = []
    say(_QueueStandIn(events.append))
    return wire.unpack(wire.pack(events[0]))


def test_a_toast_has_a_bounded_size() -> None:
    said = told(lambda queue: queue.log_message("task", "x" * 20_000_000, "t" * 20_000))
    assert (len(said.text), len(said.title)) == (10_001, 10_001)


def test_a_toast_of_other_types_is_told_in_plain_ones() -> None:
    said = told(lambda queue: queue.log_message("task", ValueError("no"), duration=np.float32(2), visible=1))
    assert said == Said("no", duration=2.0, visible=True)


def test_a_bar_of_other_types_is_told_in_plain_ones() -> None:
    bar = SimpleNamespace(index=np.int64(3), length="many", desc=7, unit=None, progress=np.float32(0.5))
    assert told(lambda queue: queue.set_progress("task", [bar])).bars == (Bar(3.0, None, "7", None, 0.5),)
