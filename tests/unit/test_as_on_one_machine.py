"""Calls of all kinds, of functions of all kinds, with values of all kinds: as the plain call, but for a copy."""

from __future__ import annotations

import array
import asyncio
import collections
import contextvars
import dataclasses
import decimal
import enum
import fractions
import functools
import inspect
import io
import ipaddress
import itertools
import math
import operator
import pathlib
import random
import re
import struct
import threading
import types
import typing
import uuid
import zoneinfo
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple, Self

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spaces
from spaces.errors import EncodingError
from spaces.testing import InMemoryFarm

pandas: Any = pytest.importorskip("pandas")  # any: pandas is untyped here
torch: Any = pytest.importorskip("torch")  # any: torch is untyped here
pillow = pytest.importorskip("PIL.Image")


VISITOR = contextvars.ContextVar("VISITOR", default="nobody")


class Colour(enum.Enum):
    RED = 1


class Mode(enum.IntFlag):
    A = 1
    B = 2


class Name(enum.StrEnum):
    X = "x"


@dataclasses.dataclass
class Settings:
    steps: int
    more: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    steps: int
    more: tuple[int, ...] = ()


class Point(NamedTuple):
    x: int
    y: int = 2


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and self.held == other.held


class Words(list[str]):
    note = ""


class Text(str):
    __slots__ = ("note",)


class Number(int):
    pass


class Flags(frozenset[int]):
    pass


class Node:
    def __init__(self, inner: Node | None = None) -> None:
        self.inner = inner


class Adds:
    def __init__(self, more: int) -> None:
        self.more = more

    def __call__(self, value: int) -> int:
        return value + self.more


def nested(kind: Callable[[Any], Any], depth: int) -> Any:
    return functools.reduce(lambda inner, _: kind(inner), range(depth), 0)


def nan(payload: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<Q", 0x7FF8 << 48 | payload))[0]
    return value


def frame() -> Any:
    made = pandas.DataFrame({"a": [1, 2], "b": ["x", None], "c": pandas.Categorical(["u", "v"])})
    made["d"] = pandas.to_datetime(["2020", "2021"]).tz_localize("Europe/Berlin")
    made.attrs["source"], made.index.name = "here", "row"
    return made


OBJECTS = np.array([1, "a", None, {"a": 1}], dtype=object)
VALUES: dict[str, object] = {
    "large integers": [10**5000, -(10**6000), 2**63, 2**64, -(2**63) - 1],
    "floats": [0.1, -0.0, math.inf, -math.nan, nan(77), complex(nan(5), -0.0)],
    "texts": ["", "a\0b", "\U0001f600", "\udcff", "x" * 100_000],
    "bytes": [b"", b"\xff" * 10_000, bytearray(b"ab")],
    "keys": {1: 2, "1": 3, None: 4, (1, 2): 5, 1.5: 6, b"k": 7, frozenset({1}): 8},
    "sets of frozen": {frozenset({1}), frozenset({(1, 2), frozenset({3})})},
    "order": list(dict.fromkeys("zyxa").items()),
    "deep lists": nested(lambda inner: [inner], 300),
    "deep tuples": nested(lambda inner: (inner, 1), 150),
    "deep dicts": nested(lambda inner: {"a": inner}, 250),
    "ranges and slices": [range(1, 10, 2), range(0, 2**100, 3), slice(1, None, 2), slice("a", 2.5)],
    "singletons": [None, ..., NotImplemented, True],
    "types": [int, Settings, list[int], int | None, typing.Any, typing.Literal["a"]],
    "functions": [nested, len, np.add, math.sqrt, "a".upper, Adds.__call__, datetime.fromtimestamp],
    "made functions": [operator.itemgetter(1), operator.attrgetter("a.b"), functools.partial(int, base=2)],
    "iterators": [list(each) for each in (zip("ab", "cd", strict=True), enumerate("a"), reversed([1, 2]))],
    "views of dicts": [list({1: 2}.keys()), list({1: 2}.items())],
    "collections": [collections.deque([1], 3), collections.Counter("aab"), collections.OrderedDict(b=1, a=2)],
    "more collections": [
        collections.defaultdict(list, a=[1]),
        collections.ChainMap({"a": 1}),
        types.SimpleNamespace(a=1),
    ],
    "arrays of Python": array.array("d", [1.5, 2]),
    "named tuples": [Point(1), Point(x=[1], y={2})],  # type: ignore[arg-type] # any value
    "dates": [date.min, datetime.max, datetime.now(UTC), time(1, tzinfo=UTC), timedelta(-1, 3), UTC],
    "zones": datetime(2026, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1),
    "offsets": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2), "X")),
    "numbers": [decimal.Decimal("1.10"), fractions.Fraction(1, 3), uuid.UUID(int=5), Number(5)],
    "paths": [
        pathlib.Path("/a/../b"),
        pathlib.PurePosixPath(),
        pathlib.PureWindowsPath("c:\\a"),
        pathlib.Path("\udcff"),
    ],
    "addresses": [ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8")],
    "patterns": re.compile("a+", re.IGNORECASE),
    "enums": [Colour.RED, Mode.A | Mode.B, Name.X, {Colour.RED: 1}],
    "dataclasses": [Settings(1, [2]), Frozen(1, (2,)), Slotted(Slotted(1))],
    "subclasses": [Words("ab"), Text("a"), Flags({1})],
    "scalars": [np.float16(1.5), np.bool_(True), np.str_("a"), np.complex64(1j), np.longdouble(1) / 3, np.int8(-3)],
    "times of numpy": [np.datetime64("2020-01-01T01", "h"), np.timedelta64(5, "D"), np.timedelta64(5)],
    "structured": [np.zeros(2, [("a", "i4"), ("b", ">f8", (2,))])[0].item(), np.void(b"abc")],
    "types of numpy": [np.dtype("f4"), np.dtype([("a", ">i4")]), np.float32],
    "objects of numpy": OBJECTS.tolist(),
    "tables": frame().to_dict(),
    "moments": [
        pandas.Timestamp("2020", tz="UTC"),
        pandas.Timedelta("1h"),
        pandas.Period("2020-01"),
        pandas.Interval(1, 2),
    ],
    "of torch": [torch.Size([1, 2]), torch.device("cuda:1"), torch.bfloat16, torch.channels_last, torch.sparse_coo],
}


@pytest.fixture
def farm() -> Iterator[InMemoryFarm]:
    with InMemoryFarm("demo") as farm:
        yield farm


def same(one: Any, other: Any) -> bool:
    """Equal, of the same types all the way down, to the last bit of a float."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    while type(one) in (list, tuple) and len(one) == len(other) == 1:
        [one], [other] = one, other
    if type(one) in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is dict:
        return len(one) == len(other) and all(map(same, one, other)) and all(map(same, one.values(), other.values()))
    return bool(np.all(one == other)) or _without_addresses(one) == _without_addresses(other)


def _without_addresses(value: object) -> str:
    return re.sub("0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_arrives_and_comes_back_as_it_was(farm: InMemoryFarm, kind: str) -> None:
    @spaces.GPU
    def echo(value: object) -> object:
        return value

    assert same(echo(VALUES[kind]), VALUES[kind])


def test_views_and_memory_keep_their_kind(farm: InMemoryFarm) -> None:
    echo: Any = spaces.GPU(lambda value: value)
    held = {"a": 1, "b": [2]}
    for view in (held.keys(), held.items(), types.MappingProxyType(held)):
        assert (type(echo(view)), echo(view)) == (type(view), view)
    assert list(echo(held.values())) == [1, [2]]
    for memory in (memoryview(b"abc"), memoryview(bytearray(8)).cast("i"), memoryview(bytes(8)).cast("B", [2, 4])):
        result = echo(memory)
        assert result == memory
        assert (result.format, result.shape, result.readonly) == (memory.format, memory.shape, memory.readonly)
    assert echo(memoryview(b"abcdef")[::2]).tobytes() == b"ace"
    assert echo(struct.Struct("<i")).format == "<i"
    assert [echo(each).max for each in (np.finfo("f4"), torch.iinfo(torch.int8))] == [np.finfo("f4").max, 127]


def test_tables_generators_and_files_in_memory_keep_their_state(farm: InMemoryFarm) -> None:
    echo: Any = spaces.GPU(lambda value: value)
    table = echo(frame())
    pandas.testing.assert_frame_equal(table, frame())
    assert table.attrs == {"source": "here"}
    file = io.BytesIO(b"abcdef")
    file.seek(2)
    assert echo(file).read() == b"cdef"
    dice, own = np.random.default_rng(5), random.Random(5)
    assert echo(dice).random() == dice.random()
    assert echo(own).random() == own.random()
    generator = torch.Generator().manual_seed(5)
    assert torch.equal(torch.rand(3, generator=echo(generator)), torch.rand(3, generator=generator))
    assert echo(np.ma.array([1, 2], mask=[False, True])).tolist() == [1, None]
    assert echo(OBJECTS).tolist() == OBJECTS.tolist()
    assert torch.equal(echo(torch.eye(3).to_sparse()).to_dense(), torch.eye(3))


def test_what_is_meant_twice_arrives_as_one(farm: InMemoryFarm) -> None:
    echo: Any = spaces.GPU(lambda value: value)
    picture = pillow.new("RGB", (2, 2))
    for shared in ([1], {"a": 1}, {1}, bytearray(b"a"), np.ones(2), torch.ones(2), picture, frame(), Settings(1)):
        first, second = echo([shared, shared])
        assert first is second
        assert repr(type(first)) == repr(type(shared))
        held = echo(types.SimpleNamespace(first=shared, second=shared))
        assert held.first is held.second
        first, held = echo((shared, types.SimpleNamespace(shared=shared)))
        assert first is held.shared
        one, other = echo([Slotted(shared), Slotted(shared)])
        assert one.held is other.held
    knot: list[Any] = [[1]]
    knot += [knot[0], knot]
    result = echo(knot)
    assert result[0] is result[1]
    assert result[2] is result


def test_arguments_that_are_one_object_are_one_in_the_function(farm: InMemoryFarm) -> None:
    def add(first: list[int], second: list[int], *, third: Slotted) -> tuple[list[int], object]:
        first.append(2)
        return second, third.held

    numbers = [1]
    assert spaces.GPU(add)(numbers, numbers, third=Slotted(numbers)) == ([1, 2], [1, 2])


def test_what_is_meant_twice_keeps_its_layout(farm: InMemoryFarm) -> None:
    """It is pickled then, and numpy's own pickles have the order of C or of Fortran."""
    echo: Any = spaces.GPU(lambda value: value)
    turned = np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2)
    array, again = echo((turned, turned))
    assert array is again
    assert array.strides == turned.copy(order="K").strides


def test_what_is_set_around_a_call_does_not_reach_the_function(farm: InMemoryFarm) -> None:
    seen: Any = spaces.GPU(lambda: (VISITOR.get(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
    token = VISITOR.set("Ada")
    with torch.inference_mode():
        assert seen() == ("nobody", True, False)
    VISITOR.reset(token)


def test_an_exception_as_a_value_comes_without_its_causes(farm: InMemoryFarm) -> None:
    echo: Any = spaces.GPU(lambda value: value)
    error = ValueError("v")
    error.__cause__ = KeyError("k")
    assert (type(echo(error)), echo(error).args, echo(error).__cause__) == (ValueError, ("v",), None)


def test_a_tensor_arrives_without_what_is_no_value_of_it(farm: InMemoryFarm) -> None:
    echo: Any = spaces.GPU(lambda value: value)
    lazy = torch.tensor([1 + 2j]).conj()
    assert (echo(lazy).is_conj(), torch.equal(echo(lazy), lazy)) == (False, True)
    with torch.inference_mode():
        inferred = torch.ones(2)
    assert inferred.is_inference()
    assert not echo(inferred).is_inference()
    assert echo(torch.ones(2, requires_grad=True) * 2).is_leaf
    noted = torch.ones(2)
    noted.note = "mine"
    assert not vars(echo(noted))


REFUSED: dict[str, tuple[object, str]] = {
    "generator": ((number for number in range(3)), "it is a generator (generator)"),
    "lambda": (lambda: None, "it is a lambda"),
    "lock": ({"a": [threading.Lock()]}, "it holds a lock (_thread.lock at ['a'][0])"),
    "file": (io.TextIOWrapper(io.BytesIO()), "it is an open file"),
    "class": (type("Local", (), {"__qualname__": "f.<locals>.Local"}), "it is a class defined inside a function"),
    "match": (re.match("a", "a"), "it is a re.Match (cannot pickle"),
    "frame": (inspect.currentframe(), "it is a frame (cannot pickle"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_value_that_means_nothing_elsewhere_is_refused_in_words(farm: InMemoryFarm, kind: str) -> None:
    echo: Any = spaces.GPU(lambda value: value)
    value, words = REFUSED[kind]
    with pytest.raises(EncodingError, match=re.escape(words)):
        echo(value)


ATOMS = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters()),
    st.binary(),
    st.sampled_from([Colour.RED, Mode.B, Name.X, int, len, range(3), b"".join, Frozen(1), Point(1, 2)]),
)
TREES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(), inner, max_size=3),
        st.builds(Settings, st.integers(), st.lists(st.integers(), max_size=2)),
        st.builds(Point, inner, inner),
        st.lists(inner, max_size=2).map(collections.deque),
    ),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(args=st.lists(TREES, max_size=3), kwargs=st.dictionaries(st.text(), TREES, max_size=3))
def test_any_call_sees_and_returns_as_the_plain_call(
    farm: InMemoryFarm, args: list[object], kwargs: dict[str, object]
) -> None:
    def see(*args: object, **kwargs: object) -> tuple[object, object, str]:
        return args, kwargs, repr((args, kwargs))

    assert repr(spaces.GPU(see)(*args, **kwargs)) == repr(see(*args, **kwargs))


def plain(a: int, b: int = 2) -> tuple[int, int]:
    return a, b


def count(a: int, b: int = 2) -> Generator[int, None, str]:
    yield a
    yield b
    return "counted"


async def later(a: int, b: int = 2) -> tuple[int, int]:
    await asyncio.sleep(0)
    return a, b


async def count_later(a: int, b: int = 2) -> AsyncIterator[int]:
    yield a
    yield b


def logged(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


class Studio:
    size = 3

    def __init__(self, more: int = 0) -> None:
        self.more = more

    def draw(self, a: int, b: int = 2) -> tuple[int, ...]:
        return a, b, self.more

    def stream(self, a: int, b: int = 2) -> Iterator[int]:
        yield from (a, b, self.more)

    async def wait(self, a: int, b: int = 2) -> tuple[int, ...]:
        return a, b, self.more

    @classmethod
    def of_class(cls, a: int, b: int = 2) -> tuple[int, ...]:
        return a, b, cls.size

    @staticmethod
    def of_nobody(a: int, b: int = 2) -> tuple[int, int]:
        return a, b

    def __call__(self, a: int, b: int = 2) -> tuple[int, ...]:
        return a, b, self.more

    def itself(self, *_: int, **__: int) -> Self:
        return self


FUNCTIONS: dict[str, Callable[[], Any]] = {
    "plain": lambda: logged(plain),
    "a generator": lambda: functools.partial(count),
    "a coroutine": lambda: functools.partial(later),
    "an async generator": lambda: functools.partial(count_later),
    "a partial": lambda: functools.partial(plain, b=7),
    "a partial of a partial": lambda: functools.partial(functools.partial(count, 5)),
    "a partial of a wrapper": lambda: functools.partial(logged(later), b=1),
    "a wrapper of a wrapper": lambda: logged(logged(plain)),
    "a wrapper of a generator, as a list": lambda: lambda *args, **kwargs: list(count(*args, **kwargs)),
    "a bound method": lambda: Studio(4).draw,
    "a bound generator": lambda: Studio(4).stream,
    "a bound coroutine": lambda: Studio(4).wait,
    "a class method": lambda: Studio.of_class,
    "a static method": lambda: Studio.of_nobody,
    "a callable object": lambda: Studio(4),
    "a cached function": lambda: functools.lru_cache(plain),
    "a lambda": lambda: lambda a, b=2: (a, b),
    "a builtin": lambda: divmod,
    "a class": lambda: Point,
}
CALLS: list[tuple[tuple[int, ...], dict[str, int]]] = [
    ((1, 2), {}),
    ((1,), {}),
    ((1,), {"b": 3}),
    ((), {"a": 1, "b": 3}),
    ((1, 2, 3), {"c": 4}),
]


def outcome(call: Callable[..., Any], args: tuple[int, ...], kwargs: dict[str, int]) -> Any:
    """All that a call gives: values, a return value, or an error."""

    async def collected(values: Any) -> list[Any]:
        return [value async for value in values]

    def exhausted(values: Any) -> Iterator[Any]:
        yield ("returned", (yield from values))

    try:
        value = call(*args, **kwargs)
        if inspect.isasyncgen(value):
            return asyncio.run(collected(value))
        if inspect.isawaitable(value):
            return asyncio.run(value)  # type: ignore[arg-type] # it is a coroutine
        return list(exhausted(value)) if inspect.isgenerator(value) else value
    except TypeError as error:
        return type(error), str(error)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_of_any_kind_gives_what_the_plain_call_gives(farm: InMemoryFarm, kind: str) -> None:
    for (args, kwargs), decorate in itertools.product(CALLS, (spaces.GPU, spaces.GPU(duration=5), logged)):
        function = FUNCTIONS[kind]()
        expected = outcome(function, args, kwargs)
        decorated = logged(spaces.GPU(function)) if decorate is logged else decorate(function)
        assert outcome(decorated, args, kwargs) == expected


def test_methods_of_a_class_in_the_script_are_methods(farm: InMemoryFarm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("draw", "stream", "wait", "__call__"):
        monkeypatch.setattr(Studio, name, spaces.GPU(vars(Studio)[name]))
    studio = Studio(4)
    assert studio.draw(1) == (1, 2, 4)
    assert list(studio.stream(1, b=3)) == [1, 3, 4]
    assert asyncio.run(studio.wait(a=1)) == (1, 2, 4)
    assert studio(1) == (1, 2, 4)
    assert Studio.draw(studio, 1) == (1, 2, 4)
