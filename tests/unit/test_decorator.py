"""`@spaces.GPU` in every form that Spaces use, and its refusals."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from types import MethodType
from typing import Any

import pytest

import spaces
from spaces import role
from spaces.errors import DefinitionError
from spaces.faces import without_thread
from spaces.role import Role
from spaces.testing import InMemoryFarm


@pytest.fixture(autouse=True)
def farm() -> Iterator[InMemoryFarm]:
    with InMemoryFarm() as farm:
        yield farm


FORMS: dict[str, tuple[Callable[..., Any], float, str]] = {
    "bare": (spaces.GPU, 60, "large"),
    "called": (lambda f: spaces.GPU()(f), 60, "large"),
    "duration": (lambda f: spaces.GPU(duration=30)(f), 30, "large"),
    "fraction": (lambda f: spaces.GPU(duration=11.25)(f), 11.25, "large"),
    "timedelta": (lambda f: spaces.GPU(duration=timedelta(days=1))(f), 86400, "large"),
    "none": (lambda f: spaces.GPU(duration=None)(f), 60, "large"),
    "callable": (lambda f: spaces.GPU(duration=lambda value: value + 1)(f), 8, "large"),
    "callable timedelta": (lambda f: spaces.GPU(duration=lambda value: timedelta(minutes=1))(f), 60, "large"),
    "callable none": (lambda f: spaces.GPU(duration=lambda value: None)(f), 60, "large"),
    "positional duration": (lambda f: spaces.GPU(45)(f), 45, "large"),
    "positional size": (lambda f: spaces.GPU("xlarge")(f), 60, "xlarge"),
    "size": (lambda f: spaces.GPU(size="xlarge", duration=5)(f), 5, "xlarge"),
    "one gpu": (lambda f: spaces.GPU(gpus=1)(f), 60, "large"),
    "twice": (lambda f: spaces.GPU(spaces.GPU(duration=7)(f)), 7, "large"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_asks_for(farm: InMemoryFarm, form: str) -> None:
    decorate, time_limit, size = FORMS[form]

    def function(value: int) -> int:
        return value

    assert decorate(function)(7) == 7
    assert [(task.time_limit, task.size) for task in farm.tasks] == [(time_limit, size)]


def test_a_function_that_names_no_size_has_that_of_its_space(
    farm: InMemoryFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZEROFARM_SIZE", "xlarge")
    spaces.GPU(lambda: None)()
    spaces.GPU(size="large")(lambda: None)()
    assert [task.size for task in farm.tasks] == ["xlarge", "large"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"duration": -5}, "duration must be positive, got -5"),
        ({"duration": 0}, "duration must be positive, got 0"),
        ({"duration": float("nan")}, "duration must be positive, got nan"),
        ({"duration": "30"}, "duration must be a number of seconds, a timedelta or a callable"),
        ({"duration": True}, "duration must be a number of seconds"),
        ({"size": "medium"}, "size must be one of 'large', 'xlarge', got 'medium'"),
        ({"gpus": 2}, "gpus must be 1, got 2: a task runs on one GPU so far. size='xlarge' requests a whole one"),
        ({"gpus": True}, "gpus must be 1, got True"),
    ],
)
def test_what_can_never_work_is_refused_at_decoration(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        spaces.GPU(**options)(plain)


def test_a_bad_duration_of_a_callable_is_refused_before_anything_is_queued(farm: InMemoryFarm) -> None:
    function = spaces.GPU(duration=lambda a: -1)(plain)
    with pytest.raises(DefinitionError, match="got -1"):
        function(1)
    assert farm.tasks == []


@pytest.mark.parametrize("option", ["enable_queue", "timeout"])
def test_old_and_unknown_options_warn(option: str) -> None:
    with pytest.warns(UserWarning, match=option):
        spaces.GPU(**{option: True})(plain)  # type: ignore[call-overload] # as real Spaces do


def plain(a: int) -> int:
    """Doc."""
    return a


def generator(a: int) -> Iterator[int]:
    yield a


async def coroutine(a: int) -> int:
    return a


async def async_generator(a: int) -> AsyncIterator[int]:
    yield a


@pytest.mark.parametrize("function", [plain, generator, coroutine, async_generator])
def test_a_wrapper_looks_like_what_it_wraps(function: Callable[..., Any]) -> None:
    wrapper = spaces.GPU(function)
    kinds = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    assert [kind(wrapper) for kind in kinds] == [kind(function) for kind in kinds]
    assert inspect.signature(wrapper) == inspect.signature(function)
    assert (wrapper.__name__, wrapper.__doc__) == (function.__name__, function.__doc__)
    assert vars(wrapper)["zerogpu"] is None


def collecting(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> list[Any]:
        return list(function(*args))

    return wrapper


def streaming(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Iterator[Any]:
        yield function(*args)

    return wrapper


def running(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return asyncio.run(function(*args))

    return wrapper


def passing(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@pytest.mark.parametrize(
    ("function", "returned"),
    [(collecting(generator), [3]), (running(coroutine), 3), (passing(coroutine), 3), (passing(plain), 3)],
)
def test_what_a_wrapper_makes_of_a_function_is_what_counts(function: Callable[..., Any], returned: object) -> None:
    wrapper: Callable[..., Any] = spaces.GPU(function)
    assert wrapper(3) == returned


def test_a_wrapper_may_make_a_stream_of_a_plain_function() -> None:
    wrapper: Callable[..., Any] = spaces.GPU(streaming(plain))
    assert list(wrapper(3)) == [3]


def test_functions_made_in_a_loop_have_names_of_their_own(farm: InMemoryFarm) -> None:
    functions: list[Callable[..., int]] = [spaces.GPU(lambda number=number: number) for number in range(3)]
    assert [function() for function in functions] == [0, 1, 2]
    assert len({task.function for task in farm.tasks}) == 3


class Model:
    def __call__(self, value: int) -> int:
        return value + 1

    @spaces.GPU
    def method(self, value: int) -> int:
        return value + 2


def test_partials_callable_objects_and_bound_methods_work(farm: InMemoryFarm) -> None:
    assert spaces.GPU(functools.partial(plain, 3))() == 3
    assert spaces.GPU(Model())(1) == 2
    assert spaces.GPU(Model().__call__)(1) == 2


def test_a_function_waits_without_a_thread_in_gradio_s_queue_and_means_the_same() -> None:
    """A method lost its object, so its first argument was taken for the object."""

    model = Model()
    gpu = spaces.GPU(lambda value, more=1: value + more)
    streaming_gpu = spaces.GPU(generator)
    events = [(gpu, 8), (functools.partial(gpu, more=2), 9), (MethodType(spaces.GPU(Model.method), model), 9)]
    for event, result in events:
        waiting = without_thread(event)
        assert inspect.iscoroutinefunction(waiting)
        assert asyncio.run(waiting(7)) == result
    assert inspect.isasyncgenfunction(without_thread(streaming_gpu))
    assert without_thread(plain) is plain


def marking(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return "marked", function(*args)

    return wrapper


def test_a_wrapper_of_a_gpu_function_is_not_taken_for_it_in_gradio_s_queue() -> None:
    """`functools.wraps` copies all attributes, so the body of the wrapper was left out, also of Gradio's own."""
    outer = marking(spaces.GPU(lambda value: value))
    assert without_thread(outer) is outer
    assert outer(3) == ("marked", 3)
    method = MethodType(marking(spaces.GPU(Model.method)), Model())
    assert without_thread(method)(3) == ("marked", 5)
    assert without_thread(functools.partial(outer, 3))() == ("marked", 3)


def test_gradio_finds_the_names_of_the_parameters() -> None:
    """`gr.Interface` labels its inputs by them, and does not look behind wrappers."""
    assert inspect.getfullargspec(spaces.GPU(plain)).args == ["a"]
    assert inspect.getfullargspec(spaces.GPU(Model().method)).args == ["value"]


class Studio:
    size = 3


def test_static_and_class_methods_may_be_decorated(farm: InMemoryFarm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A static method was given `self`, and a class method was taken for a duration."""
    static, of_class = staticmethod(lambda value: value * 2), classmethod(lambda cls, value: value * cls.size)
    monkeypatch.setattr(Studio, "double", spaces.GPU(static), raising=False)
    monkeypatch.setattr(Studio, "scale", spaces.GPU(duration=5)(of_class), raising=False)
    studio: Any = Studio  # any: mypy does not see what was set
    assert (studio.double(2), studio().double(2), studio.scale(2), studio().scale(2)) == (4, 4, 6, 6)
    assert [task.time_limit for task in farm.tasks] == [60, 60, 5, 5]


def test_without_a_farm_static_and_class_methods_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with role.stand_in(Role.NONE):
        methods: list[Any] = [staticmethod(plain), classmethod(lambda cls: cls)]
        for method in methods:
            assert spaces.GPU(method) is method
            assert spaces.GPU(duration=5)(method) is method
