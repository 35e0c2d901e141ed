"""What the operator's page reads from the broker, beyond the farm's status."""

from __future__ import annotations

from dataclasses import replace

from spaces.farm.events import Succeeded
from spaces.farm.page_addresses import Pages
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.status import StatusReader
from spaces_app.home.operator.view import View, read_view, search

from .support import claimed, pushed


def view(queue: Queue) -> View:
    return read_view(queue, StatusReader(queue).read(Pages()))


def ended(queue: Queue, worker: str, swap: float) -> None:
    pushed(queue)
    queue.end(claimed(queue, worker).lease, Succeeded(Payload(b""), seconds=1.0), 1.0, swap)


def test_cold_starts_of_the_last_hour_are_counted_for_each_worker(queue: Queue) -> None:
    for worker, swap in (("gpu0@host:1", 2.0), ("gpu0@host:1", 0.0), ("gpu1@host:1", 3.0), ("gpu0@host:2", 4.0)):
        ended(queue, worker, swap)
    assert view(queue).swaps == {"gpu0@host": 2, "gpu1@host": 1}


def test_swaps_of_an_hour_ago_are_not(queue: Queue) -> None:
    ended(queue, "gpu0@host:1", 2.0)
    status = StatusReader(queue).read(Pages())
    later = replace(status, now=status.now + 3601)
    assert read_view(queue, later).swaps == {}


def test_a_waiting_task_has_its_rank_and_an_ended_one_is_found_by_any_words(queue: Queue) -> None:
    ended(queue, "gpu0@host:1", 2.0)
    waiting = pushed(queue, space="painter")
    found = view(queue)
    assert found.ranks[waiting.id].score > 0
    assert [each.space for each in search(found.history, "DIGITS succeeded")] == ["digits"]
    assert search(found.history, "digits failed") == []
