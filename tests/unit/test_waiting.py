"""A visitor's view of a wait: nothing for a short one, then the place and the seconds as they change."""

from __future__ import annotations

import pytest

from spaces.farm.events import Progressed, Said
from spaces.farm.queue.outlook import Place
from spaces.farm.units import bytes_in_words, ordinal, seconds_in_words
from spaces.web.waiting import ACQUIRED, WAITING, Rolls, Wait, in_words


class Page:
    """A visitor that records its messages."""

    def is_gone(self, rolls: Rolls) -> bool:
        return False

    def __init__(self, listens: bool = True) -> None:
        self.listens = listens
        self.told: list[Progressed | Said] = []

    def tell(self, event: Progressed | Said) -> None:
        self.told.append(event)

    @property
    def texts(self) -> list[str | None]:
        """The texts of the progress bar and of the toasts."""
        return [each.text if isinstance(each, Said) else _text(each) for each in self.told]


def _text(progress: Progressed) -> str | None:
    return progress.bars[0].description if progress.bars else None


def test_a_task_that_begins_at_once_shows_nothing() -> None:
    page = Page()
    wait = Wait(page)
    wait.over()
    wait.show(Place(0, 1, 5.0))
    assert page.told == []


def test_the_place_and_the_seconds_are_shown_as_they_change() -> None:
    page = Page()
    wait = Wait(page)
    for place in (Place(2, 7, 40.0), Place(2, 7, 39.0), Place(0, 9, 12.0), None):
        wait.show(place)
    assert page.texts == [WAITING.text, "Queue: 3rd of 7, about 40 s", "Queue: 1st of 9, about 10 s"]
    wait.over()
    assert page.told[-2:] == [Progressed(()), ACQUIRED]


def test_the_bar_is_as_full_as_the_wait_is_over() -> None:
    page = Page()
    for seconds in (1e-9, 1e9, None):
        Wait(page).show(Place(0, 1, seconds))
    bars = [each.bars[0].fraction for each in page.told if isinstance(each, Progressed)]
    assert bars == pytest.approx([1.0, 0.0, 0.0], abs=1e-3)


def test_without_a_worker_the_visitor_is_told_so() -> None:
    assert in_words(Place(0, 1, None)) == "Queue: 1st of 1, no worker can run it yet"
    assert in_words(Place(1, 2, None, paused=True)) == "Queue: 2nd of 2, paused by the operator"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (9.5, "10 s"), (43, "45 s"), (118, "120 s"), (130, "2 min"), (3600, "60 min"), (9000, "2.5 h")],
)
def test_seconds_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words


def test_places_and_bytes_are_said_as_people_say_them() -> None:
    places = [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    assert places == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]
    assert [bytes_in_words(number) for number in (12, 1536, 1024**3)] == ["12 bytes", "1.5 KiB", "1 GiB"]
    assert [bytes_in_words(number * 1024**2) for number in (998, 999.7, 1010)] == ["998 MiB", "0.976 GiB", "0.986 GiB"]
