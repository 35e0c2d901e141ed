"""Functions that travel with a call, because no other process has decorated them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import spaces
from spaces.errors import EncodingError
from spaces.farm.values.codec import Codec
from spaces.functions.sent_functions import Carried
from spaces.testing import InMemoryFarm

FACTOR = 3


def sent(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function on the other side."""
    encoded = Codec(bytes(32)).encode(Carried.of(function))
    carried: Carried = Codec(bytes(32)).decode(encoded.body, encoded.buffers)
    return carried.function


def by_name(text: str) -> str:
    return text


def test_a_function_that_can_be_imported_goes_by_name() -> None:
    assert sent(by_name) is by_name


def test_a_local_function_has_its_defaults_what_it_encloses_and_the_globals_of_the_other_side() -> None:
    enclosed = {"number": 2}

    def multiply(value: int, more: int = 1, *, most: int = 10) -> int:
        return int(min(value * enclosed["number"] * FACTOR + more, most))

    function = sent(multiply)
    assert function is not multiply
    assert [function(1), function(1, 2), function(9, most=100)] == [7, 8, 55]


def test_local_functions_may_call_each_other_and_themselves() -> None:
    def single(value: int) -> int:
        return value

    def count(down: int) -> Iterator[int]:
        yield single(down)
        if down:
            yield from count(down - 1)

    assert list(sent(count)(2)) == [2, 1, 0]
    assert sent(lambda: list(count(1)))() == [1, 0]


def test_a_wrapper_of_a_gpu_function_that_is_enclosed_keeps_its_body() -> None:
    """It was taken for the wrapper of `@spaces.GPU`, whose attributes `functools.wraps` had copied."""
    with InMemoryFarm():
        gpu: Any = spaces.GPU(lambda value: value)
        outer = functools.wraps(gpu)(lambda value: ("marked", gpu(value)))
        assert sent(lambda: outer(3))() == ("marked", 3)


def test_code_is_not_taken_from_whoever_lacks_the_space_s_key() -> None:
    encoded = Codec(b"another key of thirty-two bytes!").encode(Carried.of(lambda: None))
    for codec in (Codec(bytes(32)), Codec()):
        with pytest.raises(EncodingError):
            codec.decode(encoded.body, encoded.buffers)
