"""Neighbouring versions of zerofarm work together on one broker; others are refused in a sentence.

The bytes of the other version are packed here by hand, field by field, as that version packs them.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import msgpack
import pytest

from spaces.errors import RefusedError, TaskLost
from spaces.farm import wire
from spaces.farm.connection import connect
from spaces.farm.events import Failed, Started, Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry
from spaces.farm.stream.inbox import Inbox
from spaces.farm.task import FunctionName, State, Task
from spaces.farm.version import VERSION
from spaces_workers.gateway.tokens import Tokens, Use

from .support import MESSAGE, SIZES, claimed, make_task, pushed, said, state_of

#: The fields of a message in release 0.1.0, which is version 0.
TASK_0 = (
    *("space", "function", "arguments", "revision", "yields", "size", "estimate", "time_limit"),
    *("summary", "client", "host", "id", "visitor"),
)
RESULT = Succeeded(Payload(b"result"))


def packed(name: str, *values: object) -> bytes:
    data: bytes = msgpack.packb(msgpack.ExtType(1, msgpack.packb([name, *values], default=wire._flatten)))
    return data


def push_packed(queue: Queue, task: Task, data: bytes) -> None:
    """As a page of another version does."""
    assert queue.push(task, MESSAGE)
    queue.redis.hset(queue.keys.task(task.id), "task", data)


def test_a_task_of_an_older_page_runs_and_its_end_is_in_its_stream(queue: Queue) -> None:
    task = make_task()
    push_packed(queue, task, packed("Task", *(getattr(task, name) for name in TASK_0)))
    lease = claimed(queue).lease
    assert lease.task == task
    queue.end(lease, RESULT)
    assert said(queue, task.id) == [RESULT]


def test_a_task_of_a_newer_page_runs(queue: Queue) -> None:
    task = make_task()
    values = [getattr(task, name) for name in (*TASK_0, "reader")]
    push_packed(queue, task, packed("Task", *values, VERSION + 1, "a field that we do not know"))
    assert claimed(queue).lease.task.version == VERSION + 1


def test_a_task_of_a_version_that_is_no_neighbour_is_refused_in_a_sentence(queue: Queue) -> None:
    task = make_task()
    values = [getattr(task, name) for name in (*TASK_0, "reader")]
    push_packed(queue, task, packed("Task", *values, VERSION + 2))
    assert queue.claim("w1", SIZES) is None
    assert state_of(queue, task) is State.FAILED
    (end,) = said(queue, task.id)
    assert isinstance(end, Failed)
    assert end.type_name == "spaces.errors.RefusedError"
    assert end.text == (
        f"a task of Space 'digits' has version {VERSION + 2} of the farm's formats, this process has {VERSION}, and "
        "only neighbours understand each other. Update the zerofarm of this process"
    )


@pytest.mark.parametrize("started", [("Started", "w1", "cpu"), ("Started", "w1", "cpu", VERSION + 1, "a new field")])
def test_a_stream_of_a_neighbours_worker_is_read(queue: Queue, broker_url: str, started: tuple[str, ...]) -> None:
    task, inbox = pushed(queue), Inbox(lambda: connect(broker_url))
    lease = claimed(queue).lease
    queue.redis.xadd(queue.keys.events(task.id), {"e": packed(*started), "n": 1})
    queue.end(lease, RESULT)
    delivery = inbox.join(task.id)
    assert isinstance(delivery.next_event(10.0), Started)
    assert delivery.next_event(10.0) == RESULT
    inbox.close()


def test_a_stream_of_a_version_that_is_no_neighbour_is_refused(queue: Queue, broker_url: str) -> None:
    task, inbox = pushed(queue), Inbox(lambda: connect(broker_url))
    queue.redis.xadd(queue.keys.events(task.id), {"e": packed("Started", "w1", "cpu", VERSION + 2), "n": 1})
    queue.redis.expire(queue.keys.events(task.id), 60)
    delivery = inbox.join(task.id)
    with pytest.raises(TaskLost, match="only neighbours understand each other"):
        delivery.next_event(10.0)
    inbox.close()


def test_a_token_that_a_newer_version_has_made_is_known(queue: Queue) -> None:
    tokens = Tokens(queue.redis)
    made, text = tokens.new("digits", 60.0, Use.CALL)
    newer = json.dumps(asdict(made) | {"a field that we do not know": 1})
    queue.redis.hset(queue.keys.tokens(), made.id, newer)
    assert tokens.holder(text) == made
    assert tokens.all() == [made]


def test_records_of_neighbours_are_read_and_one_of_another_version_hides_no_other(queue: Queue) -> None:
    registry = Registry(queue.redis)
    function = FunctionName("__main__", "generate")
    record = packed("FunctionRecord", function, 60.0, "large", False)
    functions = [msgpack.unpackb(record)]

    def register(name: str, *versions: int) -> None:
        values: tuple[object, ...] = (name, "r1", "/app.py", "/", True, "host", "/python", False, functions, [], "")
        queue.redis.set(registry._keys.space(name), packed("SpaceRecord", *values, *versions), ex=60)
        queue.redis.sadd(registry._keys.spaces(), name)

    register("older")
    register("newer", VERSION + 1)
    register("much newer", VERSION + 2)
    assert sorted(each.name for each in registry.all()) == ["newer", "older"]
    assert registry.find("older").functions[0].name == function
    with pytest.raises(RefusedError, match=f"Space 'much newer' has version {VERSION + 2} of the farm's formats"):
        registry.find("much newer")
