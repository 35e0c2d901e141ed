"""A Space's own exception arrives as itself, with any `__init__`, and with its causes and contexts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Self

import pytest

import spaces
from spaces.errors import RemoteError, RemoteTraceback
from spaces.farm import wire
from spaces.farm.events import Failed
from spaces.farm.payloads.payload import INLINE_BYTES
from spaces.farm.values.codec import Codec
from spaces.farm.values.failure import MOST_LINKS, describe, rebuild
from spaces.testing import InMemoryFarm

KEY = b"k" * 32


class RefusedError(Exception):
    def __init__(self, *, reason: str) -> None:
        super().__init__(f"because of {reason}")
        self.reason = reason


class CountingError(ValueError):
    """Passes on other arguments than it takes."""

    made = 0

    def __init__(self, wanted: int, there: int) -> None:
        super().__init__(f"{wanted} wanted, {there} there")
        self.wanted = wanted
        CountingError.made += 1


class MissingFileError(FileNotFoundError):
    def __init__(self, *, path: str) -> None:
        super().__init__(2, "No such file", path)


class SlottedError(Exception):
    __slots__ = ("code",)

    def __init__(self, code: int, text: str) -> None:
        self.code = code


@dataclass
class RecordError(Exception):
    code: int
    text: str = "none"


class NewError(Exception):
    def __new__(cls, first: str, second: str) -> Self:
        self = super().__new__(cls, first)
        self.second = second
        return self

    def __init__(self, first: str, second: str) -> None:
        pass

    second: str


class ByteError(UnicodeDecodeError):
    def __init__(self, *, why: str) -> None:
        super().__init__("utf-8", b"\xff", 0, 1, why)


class GroupError(ExceptionGroup[Exception]):
    pass


class LockedError(RefusedError):
    """Holds something that cannot be sent."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
        self.lock = threading.Lock()
        self.picture = bytes(INLINE_BYTES)


class SaysItselfError(Exception):
    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code

    def __reduce__(self) -> Any:  # any: a reduce value
        return _says_itself, (self.args[0], self.code)


def _says_itself(text: str, code: int) -> SaysItselfError:
    return SaysItselfError(text, code=code)


class MisreducedError(Exception):
    """Its `__reduce__` names arguments that its class refuses."""

    def __init__(self, *, code: int) -> None:
        super().__init__("code", code)
        self.code = code

    def __reduce__(self) -> Any:  # any: a reduce value
        return MisreducedError, (self.code,)


def over_the_wire(error: BaseException, key: bytes = KEY) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        failed = wire.unpack(wire.pack(describe(caught, Codec(key))))
    assert isinstance(failed, Failed)
    return rebuild(failed, Codec(key))


@pytest.mark.parametrize(
    "error",
    [
        RefusedError(reason="rain"),
        CountingError(3, 2),
        MissingFileError(path="/tmp/a.png"),
        SlottedError(5, "text"),
        RecordError(7),
        NewError("a", "b"),
        ByteError(why="no text"),
        SaysItselfError("a", code=1),
        MisreducedError(code=1),
        AttributeError("no size", name="size", obj=threading.Lock()),
        NameError("no x", name="x"),
        KeyError(("a", 1)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_arrives_with_its_class_arguments_fields_and_notes(error: Any) -> None:
    error.add_note("while drawing")
    made = CountingError.made
    result: Any = over_the_wire(error)
    assert type(result) is type(error)
    assert (str(result), result.args, vars(result)) == (str(error), error.args, vars(error))
    for name in ("filename", "errno", "code", "second", "reason", "name"):
        assert getattr(result, name, None) == getattr(error, name, None)
    assert CountingError.made == made


def test_a_group_arrives_with_its_members() -> None:
    result = over_the_wire(GroupError("two", [ValueError("a"), RefusedError(reason="rain")]))
    assert isinstance(result, GroupError)
    assert [repr(each) for each in result.exceptions] == ["ValueError('a')", "RefusedError('because of rain')"]


def test_what_cannot_be_sent_of_an_exception_is_left_out() -> None:
    result = over_the_wire(LockedError(reason="rain"))
    assert isinstance(result, LockedError)
    assert vars(result) == {"reason": "rain"}
    told = over_the_wire(RefusedError.__base__(threading.Lock(), "a"))  # type: ignore[misc] # Exception
    assert str(told).startswith("(<unlocked _thread.lock")


def chained() -> Exception:
    try:
        try:
            raise CountingError(3, 2)
        except CountingError as first:
            raise KeyError("b") from first
    except KeyError:
        try:
            raise RefusedError(reason="rain")
        except RefusedError as last:
            return last


def test_causes_and_contexts_arrive_and_the_remote_traceback_is_the_last_cause() -> None:
    error = chained()
    result = over_the_wire(error)
    assert isinstance(result.__cause__, RemoteTraceback)
    assert type(result.__context__) is KeyError
    first = result.__context__.__cause__
    assert isinstance(first, CountingError)
    assert first.wanted == 3

    error.__cause__ = MissingFileError(path="/tmp/a.png")
    result = over_the_wire(error)
    assert isinstance(result.__cause__, MissingFileError)
    assert result.__cause__.filename == "/tmp/a.png"
    assert isinstance(result.__cause__.__cause__, RemoteTraceback)
    assert "in chained" in str(result.__cause__.__cause__)


def test_a_cause_that_cannot_be_rebuilt_is_told_by_its_text() -> None:
    error = ValueError("a")
    error.__cause__ = CountingError(3, 2)
    result = over_the_wire(error, key=b"")
    assert type(result.__cause__) is RemoteError
    assert str(result.__cause__) == f"{__name__}.CountingError: 3 wanted, 2 there"


@pytest.mark.parametrize("length", [3, MOST_LINKS, 500])
def test_of_a_long_chain_the_nearest_arrive(length: int) -> None:
    error: Exception = ValueError(0)
    for number in range(1, length):
        error, before = ValueError(number, "x" * 2000), error
        error.__context__ = before
    result = over_the_wire(error)
    assert result.args[0] == length - 1
    assert result.__context__ is not None
    assert result.__context__.args[0] == length - 2


def test_an_exception_that_is_its_own_cause_ends_its_task() -> None:
    error = ValueError("a")
    error.__context__ = error
    error.__cause__ = KeyError("b")
    error.__cause__.__cause__ = error
    assert type(over_the_wire(error)) is ValueError


@pytest.fixture
def farm() -> Iterator[InMemoryFarm]:
    with InMemoryFarm("demo") as farm:
        yield farm


def test_a_plain_function_that_raises_stop_iteration_raises_it_here(farm: InMemoryFarm) -> None:
    """A bare `next()` without a match arrived as `RuntimeError: generator raised StopIteration`."""

    @spaces.GPU
    def first(items: list[int]) -> int:
        return next(item for item in items if item > 3)

    @spaces.GPU
    def stop() -> None:
        raise StopIteration(5)

    @spaces.GPU
    def stop_async() -> None:
        raise StopAsyncIteration("a")

    assert first([1, 4]) == 4
    with pytest.raises(StopIteration):
        first([1, 2])
    with pytest.raises(StopIteration) as caught:
        stop.submit().result()  # type: ignore[attr-defined] # the decorator adds it
    assert caught.value.value == 5
    with pytest.raises(StopAsyncIteration):
        stop_async()


def test_where_python_itself_makes_it_a_runtime_error_it_stays_one(farm: InMemoryFarm) -> None:
    @spaces.GPU
    def values() -> Generator[int, None, None]:
        yield 1
        next(iter(()))

    @spaces.GPU
    async def later() -> None:
        next(iter(()))

    @spaces.GPU
    def stop() -> None:
        raise StopIteration

    async def wait() -> None:
        await asyncio.wait_for(stop.submit(), 10)  # type: ignore[attr-defined] # as above

    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        list(values())
    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        asyncio.run(later())
    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        asyncio.run(wait())
    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        list(stop.submit())  # type: ignore[attr-defined] # as above


def test_the_page_catches_an_exception_of_its_own(farm: InMemoryFarm) -> None:
    @spaces.GPU
    def refuse() -> None:
        raise RefusedError(reason="rain") from None

    with pytest.raises(RefusedError, match="because of rain") as caught:
        refuse()
    assert caught.value.reason == "rain"
    assert isinstance(caught.value.__cause__, RemoteTraceback)


def test_an_exception_is_a_value_like_others(farm: InMemoryFarm) -> None:
    @spaces.GPU
    def give_back(error: object) -> object:
        return error

    error = RefusedError(reason="rain")
    result: Any = give_back({"error": error, "again": [error, CountingError(2, 1)]})
    assert result["error"].reason == "rain"
    assert result["again"][1].wanted == 2
