"""A value that cannot be sent: the error names the argument, the part to blame, and the remedy."""

from __future__ import annotations

import functools
import inspect
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spaces.errors import EncodingError
from spaces.farm.values.codec import Codec

KEY = b"k" * 32


class Scheduler:
    def __init__(self) -> None:
        self.steps = list(range(50))
        self.mutex = threading.Lock()


class Pipeline:
    def __init__(self) -> None:
        self.name = "tiny"
        self.scheduler = Scheduler()
        self.parent = self  # as many trees have it

    def run(self) -> None:
        pass


class Stubborn:
    def __reduce__(self) -> str:
        raise RuntimeError("no entry")


def local_object() -> object:
    class Here:
        pass

    return Here()


def nested_function() -> Callable[[], int]:
    def count() -> int:
        return 1

    return count


def letters() -> Iterator[str]:
    yield "a"


def generate(prompt: str, pipe: object = None, *images: object, steps: object = 20, **options: object) -> None:
    pass


def refusal(*args: object, codec: Codec = Codec(KEY), **kwargs: object) -> str:  # noqa: B008  # never changes
    with pytest.raises(EncodingError) as caught:
        codec.encode_call("generate", inspect.signature(generate), args, kwargs)
    return str(caught.value)


def test_a_lock_deep_inside_an_argument_is_found() -> None:
    assert refusal("a cat", Pipeline()) == (
        "argument 'pipe' of generate() cannot be sent to a GPU worker: it holds a lock (_thread.lock at "
        ".scheduler.mutex). Create it at module level, or inside the function"
    )


@pytest.mark.parametrize(
    ("value", "clause"),
    [
        (threading.Lock(), "it is a lock (_thread.lock)"),
        (letters(), "it is a generator (generator)"),
        (threading, "it is a module (module)"),
        (
            nested_function(),
            f"it is a function defined inside another function ({__name__}.nested_function.<locals>.count)",
        ),
        (functools.partial(max, key=lambda item: 0), "it holds a lambda ("),
        (
            local_object(),
            f"it is an object of a class defined inside a function ({__name__}.local_object.<locals>.Here)",
        ),
        ({"a": [1, (threading.Thread(),)]}, "it holds a thread (threading.Thread at ['a'][1][0])"),
        (Pipeline().run, "it holds a lock (_thread.lock at .__self__.scheduler.mutex)"),
        ([Stubborn()], f"it holds a {__name__}.Stubborn at [0] (no entry)"),
        (re.match("a", "a"), "it is a re.Match (cannot pickle "),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_culprit_is_named(value: object, clause: str) -> None:
    assert clause in refusal("a cat", value)


def test_an_open_file_is_named(tmp_path: Path) -> None:
    with open(tmp_path / "notes.txt", "w") as file:
        assert "it is an open file (_io.TextIOWrapper)" in refusal("a cat", file)


@pytest.mark.parametrize(
    ("args", "kwargs", "name"),
    [
        ((threading.Lock(),), {}, "prompt"),
        (("a", "b", "c", threading.Lock()), {}, "images[1]"),
        ((), {"prompt": "a", "steps": threading.Lock()}, "steps"),
        ((), {"seed": threading.Lock()}, "seed"),
    ],
)
def test_an_argument_goes_by_the_name_that_its_author_gave_it(
    args: tuple[object, ...], kwargs: dict[str, Any], name: str
) -> None:
    assert refusal(*args, **kwargs).startswith(f"argument {name!r} of generate() ")


def test_without_a_signature_arguments_are_counted() -> None:
    with pytest.raises(EncodingError, match=r"^argument '2' of f\(\) cannot be sent"):
        Codec(KEY).encode_call("f", None, (1, threading.Lock()), {})


def test_without_a_key_the_message_says_what_can_be_sent() -> None:
    assert refusal("a cat", {"p": Stubborn()}, codec=Codec()) == (
        f"argument 'pipe' of generate() cannot be sent to a GPU worker: it holds a {__name__}.Stubborn at ['p'] "
        "(it needs the Space's key). Send plain data, arrays, images or files instead"
    )


def test_a_large_module_is_named_itself_and_not_its_largest_part() -> None:
    torch: Any = pytest.importorskip("torch")  # any: torch is untyped here
    module = torch.nn.Sequential(torch.nn.Linear(5000, 5000))
    assert "it holds a torch module of 95 MB at ['unet'] (by value it may have at most 64 MB). Create it at" in refusal(
        "a cat", {"unet": module}
    )


@pytest.mark.parametrize("verb", ["returned", "yielded"])
def test_a_result_that_cannot_be_sent_is_named(verb: str) -> None:
    with pytest.raises(EncodingError) as caught:
        Codec(KEY).encode_result("generate", (1, letters()), verb)
    assert str(caught.value) == (
        f"the value that generate() {verb} cannot be sent back: it holds a generator (generator at [1]). "
        "Give back plain data, arrays, images or files instead"
    )


def test_what_can_be_sent_arrives_as_a_tuple_and_a_dict() -> None:
    codec = Codec()
    call = codec.encode_call("generate", None, ["a cat", np.float32(2)], {"steps": 20})
    assert codec.decode(call.body, call.buffers) == (("a cat", np.float32(2)), {"steps": 20})
    result = codec.encode_result("generate", None)
    assert codec.decode(result.body, result.buffers) is None
