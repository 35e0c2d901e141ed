"""The users of the farm's own broker: each may do what its process needs, and the broker refuses the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import AuthenticationError, Redis, ResponseError

from spaces.farm.celery.celery_app import make_celery
from spaces.farm.connection import connect
from spaces.farm.events import Failed, Succeeded
from spaces.farm.links.loading import load
from spaces.farm.links.retrying import retry, retryable
from spaces.farm.page_addresses import Pages
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces.farm.queue.registry import FunctionRecord, Registry, SpaceRecord
from spaces.farm.queue.status import StatusReader
from spaces.farm.task import FunctionName, State
from spaces_workers.broker.broker import Broker
from spaces_workers.broker.find import find_broker
from spaces_workers.broker.users import RULES, password_of

from .support import MESSAGE, PLAIN, WORKER, claimed, make_task, pushed, said, state_of

#: What no process of a farm needs, and what would give it the broker or its host.
OF_OPERATORS = [
    ("CONFIG", "SET", "dir", "/tmp"),
    ("CONFIG", "GET", "requirepass"),
    ("ACL", "SETUSER", "worker", "+@all"),
    ("ACL", "LIST"),
    ("FLUSHALL",),
    ("SHUTDOWN",),
    ("DEBUG", "SLEEP", "0"),
    ("KEYS", "*"),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("CLIENT", "LIST"),
    ("MONITOR",),
]

RECORD = SpaceRecord("digits", "0" * 16, "/app.py", "/", True, "host", "/python", False, ())
FUNCTION = FunctionRecord(FunctionName("__main__", "generate"), 60.0, "large", yields=False)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with find_broker(tmp_path_factory.mktemp("broker")) as found:
        yield found


@pytest.fixture
def operator(broker: Broker) -> Iterator[Queue]:
    with connect(broker.url) as redis:
        redis.flushall()
        yield Queue(redis, rules=PLAIN)


def ask(redis: Redis, *command: str) -> Any:  # Any: the answer of any command
    return redis.execute_command(*command)  # type: ignore[no-untyped-call]


@contextmanager
def user(broker: Broker, name: str) -> Iterator[Queue]:
    with connect(broker.url_of(name)) as redis:
        yield Queue(redis, rules=PLAIN)


@pytest.mark.parametrize("name", RULES)
def test_each_user_has_a_password_of_its_own(broker: Broker, name: str) -> None:
    with user(broker, name) as queue:
        assert queue.redis.ping()
    path, operators = urlsplit(broker.url).path, str(urlsplit(broker.url).password)
    others = {operators, *(password_of(each, operators) for each in RULES if each != name), "", "a-guess"}
    for password in others:
        with connect(f"unix://{name}:{password}@{path}") as redis, pytest.raises(AuthenticationError):
            redis.ping()


@pytest.mark.parametrize("command", OF_OPERATORS, ids=" ".join)
@pytest.mark.parametrize("name", RULES)
def test_no_process_of_the_farm_may_configure_empty_or_watch_the_broker(
    broker: Broker, operator: Queue, name: str, command: tuple[str, ...]
) -> None:
    with user(broker, name) as queue, pytest.raises(ResponseError, match=r"permission|not allowed"):
        ask(queue.redis, *command)


@pytest.mark.parametrize("name", ["worker", "gateway"])
def test_a_worker_and_the_gateway_may_do_all_that_tasks_need(broker: Broker, operator: Queue, name: str) -> None:
    with user(broker, name) as queue:
        Registry(queue.redis).register(RECORD, b"archive")
        task = make_task()
        assert queue.push(task, MESSAGE)
        queue.end(claimed(queue).lease, Succeeded(Payload(b"result")))
        assert said(queue, task.id) == [Succeeded(Payload(b"result"))]
        waiting = pushed(queue)
        assert queue.cancel(waiting.id, "no more") is CancelOutcome.REMOVED
        queue.leases.client_beat("a client")
        queue.expire()
        assert StatusReader(queue).read(Pages()).spaces


@pytest.mark.parametrize("name", ["home", "flower"])
def test_the_home_page_and_flower_read_and_cancel(broker: Broker, operator: Queue, name: str) -> None:
    Registry(operator.redis).register(RECORD, b"archive")
    running, waiting = pushed(operator), pushed(operator)
    lease = claimed(operator).lease
    assert lease.task == running
    with user(broker, name) as queue:
        status = StatusReader(queue).read(Pages())
        assert [space.name for space in status.spaces] == ["digits"]
        assert queue.outlook.place(waiting.id) is not None
        assert queue.cancel(running.id, "no more") is CancelOutcome.TOLD
        assert queue.cancel(waiting.id, "no more") is CancelOutcome.REMOVED
    assert state_of(operator, waiting) is State.CANCELLED


def test_the_home_page_retries_a_failed_task(broker: Broker, operator: Queue) -> None:
    Registry(operator.redis).register(replace(RECORD, functions=(FUNCTION,)), b"archive")
    failed = pushed(operator)
    operator.end(claimed(operator).lease, Failed("builtins.ValueError", "no such prompt", "a traceback"))
    with user(broker, "home") as queue:
        again = retry(queue, failed.id, "ada on the operator's page")
        assert retryable(queue) == []
    assert state_of(operator, again) is State.QUEUED


def test_the_home_page_has_a_space_loaded(broker: Broker, operator: Queue) -> None:
    Registry(operator.redis).register(replace(RECORD, functions=(FUNCTION,)), b"archive")
    operator.leases.beat("gpu0@host:1", WORKER)
    with user(broker, "home") as queue, make_celery(broker.url_of("home")) as app:
        task = load(queue, app, "digits", "ada on the operator's page")
    found = claimed(operator)
    assert found.lease.task == task
    assert json.loads(found.message)["headers"]["id"] == task.id


@pytest.mark.parametrize("name", ["home", "flower"])
def test_the_home_page_and_flower_bring_no_code_onto_workers(broker: Broker, operator: Queue, name: str) -> None:
    keys = Keys()
    with user(broker, name) as queue:
        with pytest.raises(ResponseError, match="permission"):
            Registry(queue.redis).register(RECORD, b"archive")
        of_code = keys.space("digits"), keys.revision("digits", "r"), keys.archive("digits", "d"), keys.blob("b")
        for key in (*of_code, keys.tokens(), "other"):
            with pytest.raises(ResponseError, match="permission"):
                queue.redis.set(key, b"forged")
    assert list(operator.redis.scan_iter()) == []


def test_flower_asks_workers_as_celery_does(broker: Broker, operator: Queue) -> None:
    with make_celery(broker.url_of("flower")) as celery:
        assert celery.control.ping(timeout=0.1) == []
        celery.control.revoke("0" * 32, terminate=True)


def test_a_script_runs_with_the_rights_of_its_caller(broker: Broker, operator: Queue) -> None:
    """The reason why no Space has a user: a script that may push for it would also let it write any rank."""
    with _space(broker, operator.redis) as redis:
        reaches_further = "redis.call('SET', KEYS[1], 1) return redis.call('GET', 'other')"
        with pytest.raises(ResponseError) as refused:
            redis.eval(reaches_further, 1, "mine")
        assert not str(refused.value).startswith("NOPERM")
        assert redis.get("mine") == b"1", "what the script wrote before stays"


@contextmanager
def _space(broker: Broker, operator: Redis) -> Iterator[Redis]:
    ask(operator, "ACL", "SETUSER", "space", "on", ">a-password", "~mine", "+@all", "-@dangerous")
    try:
        with connect(f"unix://space:a-password@{urlsplit(broker.url).path}") as redis:
            yield redis
    finally:
        ask(operator, "ACL", "DELUSER", "space")
