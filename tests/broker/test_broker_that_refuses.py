"""A broker that answers but refuses to write (read only, full, without its replicas): all parts recover afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
from redis import ConnectionError as BrokerGone
from redis import Redis

from spaces.errors import FarmUnavailable
from spaces.farm.broker_errors import AWAY, Parser
from spaces.farm.celery.celery_app import make_celery, submit
from spaces.farm.connection import connect
from spaces.farm.events import Cancelled, Succeeded
from spaces.farm.links.client_lease import ClientLease
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Ended, Queue
from spaces.farm.queue.registry import Registry, SpaceRecord, record_of
from spaces.farm.queue.rules import Rules
from spaces.farm.stream.writer import EventWriter
from spaces.source import Source
from spaces_workers.worker.heartbeat import Heartbeat
from spaces_workers.worker.preload import Preloader
from tests.waiting import PATIENCE, wait_until

from .support import Server, claimed, in_thread, make_task, pushed, said

QUICK = Rules(worker_beat=0.05, worker_lease=0.5, client_beat=0.05, client_lease=0.5)

#: Each way to refuse: what makes a broker do so, and what ends it.
REFUSALS: Mapping[str, tuple[str, str]] = {
    "read only": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    "full": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    "without replicas": ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
}

Refusing: TypeAlias = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def redis(server: Server) -> Iterator[Redis]:
    with connect(server.url) as redis:
        yield redis


@pytest.fixture(params=REFUSALS)
def refusing(request: pytest.FixtureRequest, redis: Redis) -> Refusing:
    """Within it, the broker refuses to write."""
    begin, end = REFUSALS[request.param]

    @contextmanager
    def refusing() -> Iterator[None]:
        _command(redis, begin)
        try:
            yield
        finally:
            _command(redis, end)

    return refusing


def _command(redis: Redis, line: str) -> None:
    redis.execute_command(*line.split())  # type: ignore[no-untyped-call] # redis-py's own


def warnings(caplog: pytest.LogCaptureFixture, of: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING and of in record.name]


def test_a_client_whose_broker_refuses_keeps_its_lease_afterwards_and_says_so_once(
    server: Server, redis: Redis, refusing: Refusing, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread ended: from then on every long call of the page was cancelled, until the page was restarted."""
    lease = ClientLease(lambda: Queue(connect(server.url), rules=QUICK), "web-1")
    lease.start()
    queue = Queue(redis)
    wait_until(lambda: queue.leases.has_client("web-1"))
    with refusing():
        wait_until(lambda: warnings(caplog, "broker_thread"))
        wait_until(lambda: not queue.leases.has_client("web-1"))
    wait_until(lambda: queue.leases.has_client("web-1"))
    assert len(warnings(caplog, "broker_thread")) == 1
    lease.stop()


def test_a_worker_whose_broker_refuses_keeps_its_lease_afterwards_and_says_so_once(
    server: Server, redis: Redis, refusing: Refusing, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeat = Heartbeat(
        lambda: Queue(connect(server.url), rules=QUICK), "w1", dict, lambda *_: None, on_lease_lost=lambda: None
    )
    heartbeat.start()
    queue = Queue(redis)

    def expiry() -> float:
        return queue.redis.zscore(queue.keys.workers(), "w1") or 0.0

    wait_until(expiry)
    with refusing():
        wait_until(lambda: warnings(caplog, "broker_thread"))
        before = expiry()
    wait_until(lambda: expiry() > before + 0.2)
    assert len(warnings(caplog, "broker_thread")) == 1
    heartbeat.stop()


def test_what_a_task_says_to_a_broker_that_refuses_arrives_afterwards(redis: Redis, refusing: Refusing) -> None:
    queue = Queue(redis)
    task = pushed(queue)
    writer = EventWriter(queue, claimed(queue).lease)
    end = Succeeded(Payload(b"value"), 1.0)
    with refusing():
        writing = in_thread(lambda: writer.end(end))
        writing.join(0.3)  # a full broker takes an end, for it makes room
    writing.join(PATIENCE)
    assert end in said(queue, task.id)


class AwayFor:
    """A queue whose broker is away for a while; counts the attempts to end a task."""

    def __init__(self, redis: Redis, seconds: float) -> None:
        self.redis = redis
        self.attempts = 0
        self._back_at = time.monotonic() + seconds

    def end(self, *_: object) -> Ended:
        self.attempts += 1
        if time.monotonic() < self._back_at:
            raise BrokerGone
        return Ended.READ


def test_a_writer_that_was_stopped_waits_between_its_attempts_to_write_the_end(redis: Redis) -> None:
    """It took a whole core while the broker was away: stopping it ended each of its waits at once."""
    queue = Queue(redis)
    pushed(queue)
    away = AwayFor(redis, 1.0)
    writer = EventWriter(cast(Queue, away), claimed(queue).lease)
    writer.stop()
    assert writer.end(Cancelled("stopped")) is Ended.READ
    assert away.attempts <= 10


def test_a_call_that_a_broker_refuses_is_answered_so(server: Server, redis: Redis, refusing: Refusing) -> None:
    app = make_celery(server.url)
    with refusing(), pytest.raises(FarmUnavailable, match="the broker takes no tasks now"):
        submit(app, make_task())
    submit(app, make_task())
    app.close()


def test_a_thread_goes_on_after_an_error_of_our_own(server: Server, redis: Redis) -> None:
    told = iter([ValueError("a worker that cannot say what it holds")])

    def info() -> dict[str, str]:
        for error in told:
            raise error
        return {"device": "cpu"}

    heartbeat = Heartbeat(
        lambda: Queue(connect(server.url), rules=QUICK), "w1", info, lambda *_: None, on_lease_lost=lambda: None
    )
    heartbeat.start()
    wait_until(lambda: Queue(redis).leases.workers() == {"w1": {"device": "cpu"}})
    heartbeat.stop()


@pytest.mark.parametrize("word", ["BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED", "OOM", "READONLY", "MASTERDOWN"])
def test_every_refusal_of_a_broker_is_one_that_passes(word: str) -> None:
    assert isinstance(Parser.parse_error(f"{word} it is told why"), AWAY)


def test_an_error_that_does_not_pass_is_no_refusal() -> None:
    assert not isinstance(Parser.parse_error("WRONGTYPE Operation against a key"), AWAY)


class Workplace:
    """Notes of which Spaces a zygote is asked for; that of one cannot be made."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.zygotes = self

    def spec_of(self, record: SpaceRecord) -> str:
        if record.name == "broken":
            raise OSError("no space left on device")
        return record.name

    def prepare(self, spec: str) -> None:
        self.prepared.append(spec)


def test_a_space_that_cannot_be_made_ahead_keeps_no_other_from_it(server: Server, redis: Redis, tmp_path: Path) -> None:
    """The preloader's thread ended: no later Space was made ahead."""
    workplace = Workplace()
    registry = Registry(redis)
    (tmp_path / "app.py").touch()
    source = Source(tmp_path / "app.py")
    registry.register(record_of("broken", source, "1", "here", []), None)
    preloader = Preloader(lambda: Queue(connect(server.url)), cast(Any, workplace))  # Any: what it needs of a Workplace
    preloader.start()
    wait_until(lambda: redis.pubsub_numsub(Queue(redis).keys.registrations())[0][1] == 1)
    registry.register(record_of("chat", source, "1", "here", []), None)
    try:
        wait_until(lambda: "chat" in workplace.prepared)  # twice, if it registered before the first look at all Spaces
    finally:
        preloader.stop()
