"""A callable `duration` gets the arguments of the call; what Gradio adds to them it gets where it takes it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import gradio as gr
import numpy as np
import pytest

import spaces
from spaces.errors import DefinitionError
from spaces.functions.duration_of_call import duration_of_call
from spaces.testing import InMemoryFarm


@pytest.fixture(autouse=True)
def farm() -> Iterator[InMemoryFarm]:
    with InMemoryFarm() as farm:
        yield farm


SHOWN = gr.Progress()


def with_progress(prompt: str, steps: int, progress: gr.Progress = SHOWN) -> Any:
    return prompt


def with_progress_between(prompt: str, progress: gr.Progress = SHOWN, steps: int = 4) -> Any:
    return prompt


def with_request(prompt: str, request: gr.Request, steps: int = 4) -> Any:
    return prompt


def with_login(prompt: str, profile: gr.OAuthProfile | None, token: gr.OAuthToken | None = None) -> Any:
    return prompt


def with_event(event: gr.SelectData, prompt: str) -> Any:
    return prompt


def with_a_lot(request: gr.Request, prompt: str, *, progress: gr.Progress = SHOWN) -> Any:
    return prompt


def plain(prompt: str, steps: int = 4) -> Any:
    return prompt


class Agent:
    def draw(self, prompt: str, progress: gr.Progress = SHOWN) -> Any:
        return prompt


def fresh(function: Any) -> Any:
    """The function again: decorated a second time it would keep its first duration."""
    if not isinstance(function, FunctionType):
        return function
    copied = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    copied.__kwdefaults__, copied.__annotations__ = function.__kwdefaults__, function.__annotations__
    return copied


REQUEST, PROGRESS, EVENT = object(), object(), object()
TAKEN: list[tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = [
    (with_progress, lambda prompt, steps: (prompt, steps), ("a", 4, PROGRESS), {}, ("a", 4)),
    (with_progress, lambda prompt, steps, progress: progress, ("a", 4, PROGRESS), {}, PROGRESS),
    (with_progress, lambda prompt, steps, progress=None: progress, ("a", 4, PROGRESS), {}, PROGRESS),
    (with_progress, lambda prompt, steps, p: p, ("a", 4, PROGRESS), {}, PROGRESS),
    (with_progress, lambda prompt, steps, quality=1: quality, ("a", 4, PROGRESS), {}, 1),
    (with_progress, lambda *args: args, ("a", 4, PROGRESS), {}, ("a", 4, PROGRESS)),
    (with_progress, lambda prompt, *rest: rest, ("a", 4, PROGRESS), {}, (4, PROGRESS)),
    (with_progress, lambda prompt, steps: steps, ("a",), {"steps": 5, "progress": PROGRESS}, 5),
    (with_progress, lambda **kwargs: kwargs["steps"], (), {"prompt": "a", "steps": 5}, 5),
    (with_progress_between, lambda prompt, steps: (prompt, steps), ("a", PROGRESS, 4), {}, ("a", 4)),
    (with_progress_between, lambda prompt, steps=4: steps, ("a", PROGRESS, 7), {}, 7),
    (with_request, lambda prompt, steps: (prompt, steps), ("a", REQUEST, 4), {}, ("a", 4)),
    (with_request, lambda prompt, request, steps: request, ("a", REQUEST, 4), {}, REQUEST),
    (with_request, lambda prompt: prompt, ("a", REQUEST), {}, "a"),
    (with_login, lambda prompt: prompt, ("a", None, None), {}, "a"),
    (with_login, lambda prompt, profile: profile, ("a", None, None), {}, None),
    (with_event, lambda prompt: prompt, (EVENT, "a"), {}, "a"),
    (with_a_lot, lambda prompt: prompt, (REQUEST, "a"), {"progress": PROGRESS}, "a"),
    (functools.partial(with_progress, "a"), lambda steps: steps, (4, PROGRESS), {}, 4),
    (plain, lambda prompt, steps=1: steps, ("a",), {}, 1),
    (plain, lambda prompt: prompt, ("a",), {}, "a"),
    (plain, print, ("a",), {}, None),
    (Agent.draw, lambda self, prompt: prompt, (None, "a", PROGRESS), {}, "a"),
]


@pytest.mark.parametrize(("function", "duration", "args", "kwargs", "expected"), TAKEN)
def test_a_duration_gets_what_it_takes_of_a_call(
    farm: InMemoryFarm,
    function: Callable[..., Any],
    duration: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    expected: Any,
) -> None:
    """A duration without `progress` was `takes 2 positional arguments but 3 were given`."""
    got = []

    @functools.wraps(duration)
    def noted(*args: Any, **kwargs: Any) -> int:
        got.append(duration(*args, **kwargs))
        return 7

    def nothing(value: Any) -> Any:
        return None if value in (REQUEST, PROGRESS, EVENT) else value

    call = spaces.GPU(duration=noted)(fresh(function))
    assert duration_of_call(noted, function, args, kwargs) == 7
    assert got == [expected]
    assert call(*map(nothing, args), **{name: nothing(value) for name, value in kwargs.items()}) == "a"
    assert farm.tasks[0].time_limit == 7


def wrapped(*args: Any, **kwargs: Any) -> Any:
    return plain("a", 4)


@pytest.mark.parametrize(
    ("function", "duration", "message"),
    [
        (
            plain,
            lambda: 5,
            r"the arguments of plain\(prompt, steps\), got a callable that takes \(\)\. Give it",
        ),
        (plain, lambda a, b, c: 5, r"got a callable that takes \(a, b, c\)"),
        (plain, lambda prompt, *, seed: 5, r"takes \(prompt, seed\)"),
        (with_progress, lambda prompt: 5, r"with_progress\(prompt, steps, progress\).*those that Gradio fills in"),
        (Agent.draw, lambda: 5, r"draw\(self, prompt, progress\)"),
        (functools.partial(plain, "a", 4), lambda a: 5, r"arguments of the function\(\)"),
    ],
)
def test_a_duration_that_takes_no_call_of_its_function_is_refused_at_decoration(
    function: Callable[..., Any], duration: Callable[..., Any], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        spaces.GPU(duration=duration)(fresh(function))


def test_a_wrapper_that_takes_anything_is_not_judged_by_what_it_wraps() -> None:
    taker = functools.wraps(plain)(wrapped)
    assert spaces.GPU(duration=lambda: 5)(taker)() == "a"


def test_a_call_that_the_duration_cannot_take_is_refused_in_words(farm: InMemoryFarm) -> None:
    call = spaces.GPU(duration=lambda prompt: 5)(fresh(plain))
    with pytest.raises(DefinitionError, match=r"duration must take the arguments of plain\(prompt, steps\)"):
        call("a", 4)
    assert farm.tasks == []


def test_an_error_of_the_duration_itself_stays_what_it_is() -> None:
    def duration(prompt: str) -> int:
        raise TypeError("takes 2 positional arguments but 3 were given")

    with pytest.raises(TypeError, match="takes 2 positional"):
        spaces.GPU(duration=duration)(fresh(plain))("a")


@pytest.mark.parametrize("value", [np.int64(7), np.float32(7), np.float64(7)], ids=lambda value: type(value).__name__)
def test_seconds_may_be_any_real_number(farm: InMemoryFarm, value: Any) -> None:
    assert spaces.GPU(duration=lambda prompt: value)(fresh(plain))("a") == "a"
    assert farm.tasks[0].time_limit == 7.0
