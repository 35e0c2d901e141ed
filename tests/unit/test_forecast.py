"""When what waits will begin, played through without a broker."""

from __future__ import annotations

import pytest

from spaces.farm.queue.forecast import Forecast, InHand, Line, Server, Waiting, forecast

LARGE, WHOLE = ("large",), ("large", "xlarge")


def line(size: str, *estimates: float, scores: tuple[float, ...] = ()) -> Line:
    tasks = zip(scores or map(float, range(len(estimates))), estimates, strict=True)
    return Line(size, len(estimates), tuple(Waiting(place, *task) for place, task in enumerate(tasks)))


def waits(found: Forecast, size: str, *places: int) -> list[float | None]:
    return [found.of(size).wait(place) for place in places]


def test_one_worker_takes_one_after_the_other() -> None:
    found = forecast([line("large", 10, 20, 30)], [Server(LARGE, ())])
    assert waits(found, "large", 0, 1, 2, 3, 99) == [0, 10, 30, 60, 60]


def test_what_runs_comes_first() -> None:
    found = forecast([line("large", 10, 20)], [Server(LARGE, (InHand(5, 30, 60),))])
    assert waits(found, "large", 0, 1) == [25, 35]


def test_the_next_task_goes_to_the_worker_that_is_free_first() -> None:
    servers = [Server(LARGE, (InHand(0, 50, 60),)), Server(LARGE, (InHand(0, 10, 60),))]
    found = forecast([line("large", 20, 5, 30, 1)], servers)
    assert waits(found, "large", 0, 1, 2, 3, 4) == [10, 30, 35, 50, 51]


@pytest.mark.parametrize(
    ("running", "left"),
    [
        (InHand(5, 30, 60), 25),  # as estimated
        (InHand(29, 30, 60), 5.8),  # who has run for long will run for long
        (InHand(50, 30, 600), 10),
        (InHand(58, 30, 60), 2),  # its limit ends it
        (InHand(70, 30, 60), 0),
    ],
)
def test_what_is_left_of_a_run(running: InHand, left: float) -> None:
    assert running.left == pytest.approx(left)


def test_a_size_without_workers_has_no_forecast() -> None:
    found = forecast([line("large", 10), line("xlarge", 10)], [Server(LARGE, ())])
    assert waits(found, "large", 0) == [0]
    assert waits(found, "xlarge", 0, 1) == [None, None]
    assert forecast([line("large")], []).of("large").wait(0) is None


def test_an_empty_queue_waits_for_the_first_free_worker() -> None:
    servers = [Server(LARGE, (InHand(0, 30, 60),)), Server(WHOLE, (InHand(0, 20, 60),))]
    found = forecast([line("large"), line("xlarge")], servers)
    assert waits(found, "large", 0) == [20]


def test_a_worker_of_several_sizes_takes_the_best_by_score() -> None:
    lines = [line("large", 10, 10, scores=(1.0, 4.0)), line("xlarge", 10, 10, scores=(2.0, 3.0))]
    found = forecast(lines, [Server(WHOLE, ())])
    assert (waits(found, "large", 0, 1), waits(found, "xlarge", 0, 1)) == ([0, 30], [10, 20])


def test_a_slice_helps_only_with_what_fits() -> None:
    lines = [line("large", 10, 10, scores=(2.0, 3.0)), line("xlarge", 10, 10, scores=(0.0, 1.0))]
    found = forecast(lines, [Server(WHOLE, ()), Server(LARGE, ())])
    assert (waits(found, "large", 0, 1), waits(found, "xlarge", 0, 1)) == ([0, 10], [0, 10])


def test_samples_stand_for_their_neighbours() -> None:
    samples = tuple(Waiting(place, float(place), 6.0) for place in (0, 1, 2, 3, 54, 155, 256))
    found = forecast([Line("large", 300, samples)], [Server(LARGE, ())] * 3)
    for place in (1, 4, 30, 150, 290, 300):
        assert found.of("large").wait(place) == pytest.approx(place // 3 * 6.0, abs=12.0)
