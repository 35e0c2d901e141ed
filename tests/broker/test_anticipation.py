"""What a worker hears of the calls to come: demand, the next tasks of its queues, and pages that are opened."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import pytest

from spaces.farm.connection import connect
from spaces.farm.queue.control.controls import Controls
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry
from spaces.farm.size import Size
from spaces_workers.worker.anticipation import FIRST, Anticipation
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.gpu_memory.eviction import Demand, Pins
from spaces_workers.worker.gpu_memory.prefetch import Prefetch
from tests.waiting import wait_until

from .support import pushed


class Recorder:
    """Notes which sleepers are to wake, and whether children are to save their tensors."""

    has_sleepers = True

    def __init__(self) -> None:
        self.woken: list[tuple[str, tuple[str, ...], int]] = []
        self.saves = 0

    def wake(self, space: str, *, running: Collection[ChildLink], spared: Collection[str]) -> bool:
        self.woken.append((space, tuple(spared), len(running)))
        return True

    def save(self) -> None:
        self.saves += 1

    def share(self) -> None:
        pass

    def bury(self) -> None:
        pass

    def exchange(self) -> None:
        pass


class Ear:
    """The thread of a worker, whose tasks the test invents."""

    def __init__(self, url: str, running: Sequence[object]) -> None:
        self.demand, self.pins, self.recorder = Demand(), Pins(), Recorder()
        self.running = running
        self.thread = Anticipation(
            lambda: Queue(connect(url)),
            self.demand,
            self.pins,
            cast(Prefetch, self.recorder),
            [Size.LARGE],
            lambda: cast("Sequence[ChildLink | None]", self.running),
        )


@contextmanager
def listening(url: str, *running: object) -> Iterator[Ear]:
    ear = Ear(url, running)
    ear.thread.start()
    yield ear
    ear.thread.stop()


@pytest.fixture
def ear(broker_url: str, queue: Queue) -> Iterator[Ear]:
    assert queue.redis.ping()
    with listening(broker_url) as ear:
        yield ear


def test_it_hears_how_often_spaces_are_called(ear: Ear, queue: Queue) -> None:
    pushed(queue, space="digits")
    wait_until(lambda: ear.demand("digits") > 0)
    assert ear.demand("unknown") == 0


def test_the_spaces_of_the_next_tasks_wake(ear: Ear, queue: Queue) -> None:
    names = [f"space-{number}" for number in range(FIRST + 2)]
    for number, name in enumerate(names):
        pushed(queue, space=name, estimate=10.0 * (number + 1))
    pushed(queue, space="huge", size=Size.XLARGE)
    wait_until(lambda: any(len(spared) == FIRST for _, spared, _ in ear.recorder.woken))
    wait_until(lambda: {space for space, _, _ in ear.recorder.woken} >= {*names[:FIRST]})
    assert {spared for _, spared, _ in ear.recorder.woken if len(spared) == FIRST} == {tuple(names[:FIRST])}


def test_a_space_wakes_when_its_page_is_opened(ear: Ear, queue: Queue) -> None:
    def is_woken() -> bool:
        Registry(queue.redis).tell_of_visit("opened")
        return ("opened", ("opened",), 0) in ear.recorder.woken

    wait_until(is_woken)


def test_children_save_their_tensors_only_while_no_task_runs(broker_url: str, queue: Queue) -> None:
    with listening(broker_url) as idle, listening(broker_url, None) as busy:
        pushed(queue, space="digits")
        wait_until(lambda: busy.demand("digits") > 0)
        pushed(queue, space="names")
        wait_until(lambda: busy.demand("names") > 0)  # then the round that heard of the first is over
        wait_until(lambda: idle.recorder.saves > 0)
        assert busy.recorder.saves == 0


def test_nothing_wakes_while_a_task_gets_its_child(broker_url: str, queue: Queue) -> None:
    with listening(broker_url, object(), None) as ear:
        pushed(queue, space="digits")
        wait_until(lambda: ear.demand("digits") > 0)
        pushed(queue, space="names")
        wait_until(lambda: ear.demand("names") > 0)  # then the round that heard of the first is over
        assert ear.recorder.woken == []
        ear.running = [object()]
        wait_until(lambda: ("digits", ("digits", "names"), 1) in ear.recorder.woken)


def test_a_worker_hears_which_spaces_operators_pin(ear: Ear, queue: Queue) -> None:
    controls = Controls(queue, "ada")
    controls.pin("digits")
    wait_until(lambda: "digits" in ear.pins)
    controls.unpin("digits")
    wait_until(lambda: "digits" not in ear.pins)
