"""`submit` of a function without a farm: it runs in a thread, behind the handle that a farm would give."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

import spaces
from spaces.errors import TaskCancelled, WaitTimeout
from spaces.farm.task import State
from spaces.functions.local_handle import LocalHandle
from tests.waiting import PATIENCE


def test_submit_returns_at_once_and_gives_the_result() -> None:
    """There was no such attribute, so a Space that uses it ran on a farm only."""
    let_go = threading.Event()

    @spaces.GPU
    def double(number: int) -> int:
        assert let_go.wait(PATIENCE)
        return 2 * number

    handle: LocalHandle = double.submit(number=4)  # type: ignore[attr-defined] # given by the decorator
    assert (handle.state, handle.done, handle.position, handle.eta) == (State.RUNNING, False, None, None)
    with pytest.raises(WaitTimeout, match="double has not ended in time"):
        handle.result(timeout=0)
    let_go.set()
    assert handle.result(PATIENCE) == 8
    assert (handle.state, handle.done) == (State.SUCCEEDED, True)


def test_the_function_itself_is_what_it_was() -> None:
    def double(number: int) -> int:
        return 2 * number

    assert spaces.GPU(double) is double
    assert spaces.GPU(len) is len
    assert spaces.GPU(duration=5)(double) is double
    assert double(3) == 6


def test_a_generator_streams_and_returns() -> None:
    @spaces.GPU(duration=5)
    def count(to: int) -> Generator[int, None, str]:
        yield from range(to)
        return "all"

    handle: LocalHandle = count.submit(3)  # type: ignore[attr-defined]
    assert list(handle) == [0, 1, 2]
    assert list(handle) == []
    assert handle.result() == "all"


def test_an_error_arrives_as_itself() -> None:
    @spaces.GPU
    def fail() -> None:
        raise TimeoutError("mine")

    handle: LocalHandle = fail.submit()  # type: ignore[attr-defined]
    with pytest.raises(TimeoutError, match="mine"):
        handle.result()
    assert handle.state is State.FAILED


def test_a_generator_that_is_left_is_closed() -> None:
    closed = threading.Event()

    @spaces.GPU
    def forever() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with forever.submit() as handle:  # type: ignore[attr-defined]
        assert next(iter(handle)) == 1
    assert closed.wait(PATIENCE)
    assert handle.state is State.CANCELLED
    with pytest.raises(TaskCancelled, match="its caller left"):
        handle.result()


def test_coroutines_await_and_stream() -> None:
    @spaces.GPU
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    @spaces.GPU
    async def count(to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    async def story() -> tuple[int, list[int]]:
        async with add.submit(1, b=2) as handle:  # type: ignore[attr-defined]
            total = await handle
        return total, [value async for value in count.submit(3)]  # type: ignore[attr-defined]

    assert asyncio.run(story()) == (3, [0, 1, 2])


def test_methods_have_it_too() -> None:
    class Model:
        @spaces.GPU
        def scaled(self, number: int) -> int:
            return 10 * number

        @staticmethod
        @spaces.GPU
        def plain(number: int) -> int:
            return number

        @spaces.GPU
        @staticmethod
        def other(number: int) -> int:
            return -number

    model: Any = Model()
    assert model.scaled.submit(model, 2).result() == 20
    assert model.plain.submit(3).result() == 3
    assert model.other.submit(3).result() == -3
    partial: Any = spaces.GPU(functools.partial(pow, 2))
    assert partial.submit(5).result() == 32
