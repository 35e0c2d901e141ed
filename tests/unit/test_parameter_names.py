"""A function's parameters may have any name, also one that our own code has for something else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import spaces
from spaces.testing import InMemoryFarm
from spaces.web.remote import Farm, FarmFunction

#: Of our functions on the way of a call, and of those that call them.
NAMES = [
    *("self", "cls", "args", "kwargs", "function", "func", "fn", "task", "timeout", "duration", "size", "gpus"),
    *("space", "url", "label", "signature", "call", "value", "values", "handle", "name", "event", "visitor", "host"),
    *("request", "progress", "key", "error", "time_limit", "loop", "context", "more", "take", "tell", "reason"),
]


def make(name: str, head: str = "def", body: str = "return {0}, rest") -> Callable[..., Any]:
    made: dict[str, Any] = {}
    exec(f"{head} made({name}, *, rest=None):\n    {body.format(name)}", made)
    function: Callable[..., Any] = made["made"]
    function.__module__ = __name__
    return function


@pytest.fixture
def farm() -> Iterator[InMemoryFarm]:
    with InMemoryFarm() as farm:
        yield farm


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_of_any_name_works_by_keyword(farm: InMemoryFarm, name: str) -> None:
    call: Any = spaces.GPU(duration=lambda **kwargs: kwargs["rest"])(make(name))
    assert call(**{name: "a", "rest": 7}) == ("a", 7)
    assert call.submit(**{name: "a", "rest": 8}).result() == ("a", 8)
    assert farm.tasks[0].summary == f"{name}='a', rest=7"
    values: Any = spaces.GPU(make(name, body="yield {0}"))
    assert list(values(**{name: "a"})) == ["a"]
    coroutine: Any = spaces.GPU(make(name, "async def"))
    assert asyncio.run(coroutine(**{name: "a"})) == ("a", None)

    async def collected() -> list[Any]:
        stream: Any = spaces.GPU(make(name, "async def", "yield {0}"))
        return [value async for value in stream(**{name: "a"})]

    assert asyncio.run(collected()) == ["a"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "duration"])
def test_a_farm_passes_on_a_keyword_of_any_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(Farm, "_submit", lambda *call: sent.append(call[1:]))
    farm = object.__new__(Farm)
    farm.submit("digits", "generate", 1, **{name: "a"}, duration=30)
    farm.function("digits", "generate").submit(1, duration=2, **{name: "a"})
    assert sent == [
        ("digits", "generate", 30, (1,), {name: "a"}),
        ("digits", "generate", None, (1,), {"duration": 2, name: "a"}),
    ]


def test_a_function_of_a_farm_has_a_time_limit_and_a_parameter_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(Farm, "_submit", lambda *call: sent.append(call[1:]))
    function = object.__new__(Farm).function("digits", "generate", duration=30)
    assert isinstance(function, FarmFunction)
    function.submit(duration="long")
    assert sent == [("digits", "generate", 30, (), {"duration": "long"})]
