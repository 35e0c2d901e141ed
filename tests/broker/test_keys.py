"""The names of keys: one hash tag, the same in Python and in Lua, and none without a lifetime."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from spaces.farm.queue import keys as keys_module
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.scripts import in_lua

from .support import leaked_keys, pushed

METHODS = sorted(name for name, _ in inspect.getmembers(Keys, inspect.isfunction) if not name.startswith(("_", "is_")))


def name_of(method: str) -> tuple[str, list[str]]:
    function: Callable[..., str] = getattr(Keys(), method)
    arguments = [f"<{parameter}>" for parameter in inspect.signature(function).parameters]
    return function(*arguments), arguments


@pytest.mark.parametrize("method", METHODS)
def test_a_key_has_the_same_name_in_lua(queue: Queue, method: str) -> None:
    name, arguments = name_of(method)
    values = ", ".join(f"ARGV[{number}]" for number in range(1, len(arguments) + 1))
    script = in_lua(f"return keys.{method}({values})", Keys())
    assert queue.redis.eval(script, 0, *arguments) == name.encode()


@pytest.mark.parametrize("use", ["keys.task(keys.held(id))", "keys.task(tostring(id))"])
def test_a_use_of_a_key_that_is_not_written_out_is_refused(use: str) -> None:
    """It was left in the script, which failed at its first call only."""
    with pytest.raises(ValueError, match=r"must be names or values, got keys\.task\(\w+"):
        in_lua(f"local id = 1 -- keys.task(id)\nreturn {use}", Keys())


def test_what_a_comment_says_of_keys_is_left_alone() -> None:
    script = "-- keys.task(id)\nreturn 1 -- keys.task(keys.held(id))"
    assert in_lua(script, Keys()) == script


@pytest.mark.parametrize("method", METHODS)
def test_a_key_has_the_hash_tag_and_stands_in_the_table(method: str) -> None:
    name, _ = name_of(method)
    assert name.startswith("{zerofarm}:")
    assert f"`{name.removeprefix('{zerofarm}:').replace('<', '{').replace('>', '}')}`".replace("task", "id") in (
        keys_module.__doc__ or ""
    ).replace("task", "id")


def test_a_key_without_a_lifetime_is_found(queue: Queue) -> None:
    pushed(queue)
    assert leaked_keys(queue) == []
    queue.redis.set("{zerofarm}:forgotten", "1")
    assert leaked_keys(queue) == ["{zerofarm}:forgotten"]
    queue.redis.delete("{zerofarm}:forgotten")
