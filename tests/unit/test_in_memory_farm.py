"""`spaces.testing.InMemoryFarm`: what an author's own tests see of the farm."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Generator, Iterator

import pytest

import spaces
from spaces.errors import EncodingError
from spaces.farm.task import State
from spaces.testing import InMemoryFarm
from tests.waiting import PATIENCE


@pytest.fixture
def farm() -> Iterator[InMemoryFarm]:
    with InMemoryFarm("demo") as farm:
        yield farm


def test_a_call_becomes_a_task_and_returns_its_value(farm: InMemoryFarm) -> None:
    @spaces.GPU(duration=5)
    def add(a: int, b: int) -> int:
        return a + b

    assert add(1, b=2) == 3
    assert [(task.function.qualname.rpartition(".")[2], task.time_limit) for task in farm.tasks] == [("add", 5.0)]
    assert farm.tasks[0].summary == "1, b=2"


def test_a_generator_yields_and_returns(farm: InMemoryFarm) -> None:
    @spaces.GPU
    def count(n: int) -> Generator[int, None, int]:
        yield from range(n)
        return n

    values = count(3)
    assert [next(values), next(values), next(values)] == [0, 1, 2]
    with pytest.raises(StopIteration) as stop:
        next(values)
    assert stop.value.value == 3


def test_a_generator_that_is_left_early_is_closed(farm: InMemoryFarm) -> None:
    closed = threading.Event()

    @spaces.GPU
    def forever() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    values = forever()
    next(values)
    values.close()
    assert closed.wait(PATIENCE)
    assert farm.state(farm.tasks[0]) in (State.RUNNING, State.CANCELLED)


@pytest.mark.timeout(30)  # they waited for each other
def test_a_function_that_calls_others_calls_them_plainly(farm: InMemoryFarm) -> None:
    import asyncio

    @spaces.GPU
    def factorial(n: int) -> int:
        result: int = n * factorial(n - 1) if n else 1
        return result

    @spaces.GPU
    def count(lock: object) -> Generator[object, None, int]:
        yield lock
        return 1

    @spaces.GPU
    async def later(n: int) -> int:
        return n

    values = spaces.GPU(_async_values)

    @spaces.GPU
    async def outer() -> list[object]:
        lock = threading.Lock()
        inner = count(lock)
        return [next(inner) is lock, next(inner, None), await later(2), [value async for value in values(2)]]

    assert factorial(4) == 24
    assert asyncio.run(outer()) == [True, None, 2, [0, 1]]
    assert [task.function.qualname.rpartition(".")[2] for task in farm.tasks] == ["factorial", "outer"]


async def _async_values(n: int) -> AsyncIterator[int]:
    for value in range(n):
        yield value


def test_coroutines_and_async_generators_stay_what_they_are(farm: InMemoryFarm) -> None:
    import asyncio

    @spaces.GPU
    async def add(a: int, b: int) -> int:
        return a + b

    count = spaces.GPU(_async_values)

    async def both() -> tuple[int, list[int]]:
        return await add(1, 2), [value async for value in count(3)]

    assert asyncio.run(both()) == (3, [0, 1, 2])


def test_an_error_arrives_as_itself_with_the_remote_traceback(farm: InMemoryFarm) -> None:
    @spaces.GPU
    def boom() -> None:
        raise ValueError("no such prompt")

    with pytest.raises(ValueError, match="no such prompt") as caught:
        boom()
    assert "in boom" in str(caught.value.__cause__)


def test_an_argument_that_cannot_travel_is_refused_by_name(farm: InMemoryFarm) -> None:
    @spaces.GPU
    def use(lock: object) -> None:
        raise AssertionError("it must not run")

    with pytest.raises(EncodingError, match="argument 'lock'"):
        use(threading.Lock())
    assert farm.tasks == []


def test_a_submitted_task_is_watched_through_its_handle(farm: InMemoryFarm) -> None:
    go = threading.Event()
    started = threading.Event()
    held = [started, go]

    @spaces.GPU
    def wait() -> str:
        held[0].set()
        held[1].wait()
        return "done"

    handle = wait.submit()  # type: ignore[attr-defined] # the decorator adds it
    assert started.wait(PATIENCE)
    with pytest.raises(TimeoutError):
        handle.result(timeout=0.01)
    assert handle.state is State.RUNNING
    assert not handle.done
    go.set()
    assert handle.result(timeout=PATIENCE) == "done"
    assert handle.done
