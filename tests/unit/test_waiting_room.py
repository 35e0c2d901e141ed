"""One thread looks after every visitor of a process: places are asked for together, and who left is noticed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from spaces.farm.events import Progressed, Said
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.outlook import Place
from spaces.farm.task import FunctionName, Task
from spaces.web import waiting_room
from spaces.web.waiting import WAITING, Rolls, Wait
from spaces.web.waiting_room import WaitingRoom
from tests.waiting import PATIENCE, wait_until


class Page:
    """A visitor on a page that all share."""

    listens = True

    def __init__(self) -> None:
        self.gone = False
        self.told: list[Progressed | Said] = []

    def is_gone(self, rolls: Rolls) -> bool:
        return self.gone

    def tell(self, event: Progressed | Said) -> None:
        self.told.append(event)


class Farm:
    """Knows the place of every task, and how often it was asked."""

    def __init__(self) -> None:
        self.questions: list[int] = []
        self.cancelled: list[str] = []
        self.is_away = False
        self.answers = threading.Event()
        self.answers.set()

    def places(self, tasks: Sequence[Task]) -> list[Place | None]:
        if self.is_away:
            raise ConnectionError("the broker is away")
        self.answers.wait(PATIENCE)
        self.questions.append(len(tasks))
        return [Place(number, len(tasks), 9.0) for number in range(len(tasks))]

    def cancel(self, task: Task, reason: str) -> None:
        self.cancelled.append(reason)


def entered(room: WaitingRoom, farm: Farm, count: int) -> list[tuple[Page, Wait]]:
    guests = []
    for _ in range(count):
        page = Page()
        wait = Wait(page)
        room.enter(wait, Task("digits", FunctionName("__main__", "draw"), Payload()), farm)
        guests.append((page, wait))
    return guests


def test_a_thousand_visitors_are_shown_their_places_by_one_question_and_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_room, "PLACE_INTERVAL", 60.0)
    before = threading.active_count()
    room, farm = WaitingRoom(interval=0.05), Farm()
    farm.answers.clear()
    guests = entered(room, farm, 1000)
    farm.answers.set()
    wait_until(lambda: all(page.told for page, _ in guests))
    assert sum(farm.questions) == 1000
    assert len(farm.questions) <= 3
    assert threading.active_count() <= before + 1
    assert guests[2][0].told[0] == WAITING
    for _, wait in guests:
        room.leave(wait)


def test_a_visitor_who_left_stops_the_task_and_leaves_the_room() -> None:
    room, farm = WaitingRoom(interval=0.01), Farm()
    [(page, _)] = entered(room, farm, 1)
    page.gone = True
    wait_until(lambda: farm.cancelled == ["the visitor left"])
    room.look()
    assert len(farm.cancelled) == 1


def test_a_task_that_has_begun_is_not_asked_for() -> None:
    room, farm = WaitingRoom(interval=60.0), Farm()
    [(_, wait)] = entered(room, farm, 1)
    wait.over()
    room.look()
    assert farm.questions == []


def test_the_room_survives_a_broker_that_is_away() -> None:
    room, farm = WaitingRoom(interval=0.01), Farm()
    farm.is_away = True
    [(page, wait)] = entered(room, farm, 1)
    room_thread = next(each for each in threading.enumerate() if each.name == "zerofarm-waiting-room")
    farm.is_away = False
    wait_until(lambda: page.told)
    assert room_thread.is_alive()
    room.leave(wait)
