"""A real broker for every test of this folder: empty at its start, without keys that would stay for ever at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from spaces.farm.celery import here
from spaces.farm.celery.celery_app import make_celery
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.warmth import Warmth

from .celery_consumer import Worker
from .support import PLAIN, Server, leaked_keys


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Server(tmp_path_factory.mktemp("broker"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
def queue(broker_url: str) -> Iterator[Queue]:
    """The ranked queue on an empty broker, with PLAIN rules. Fails the test that leaves a key without a lifetime."""
    with connect(broker_url) as redis:
        redis.flushall()
        queue = Queue(redis, rules=PLAIN)
        yield queue
        assert not leaked_keys(queue), "keys without a lifetime were left"
        assert not list(redis.scan_iter(queue.keys.blob("*"))), "payloads were left"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A broker of the test's own, that it may kill."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def identity() -> Iterator[None]:
    """This process is worker w1."""
    here.identify("w1")
    yield
    here.identify("")
    here.set_warmth(Warmth)
    here.attend_with(lambda _: None, lambda _: None)
    here.facts.in_hand.clear()
    here.facts.settled.clear()
    here.facts.unheard.clear()
    here.facts.steps = 0


@pytest.fixture
def app(queue: Queue, broker_url: str) -> Iterator[Celery]:
    app = make_celery(broker_url)
    yield app
    app.close()


@pytest.fixture
def worker(app: Celery, identity: None) -> Iterator[Worker]:
    worker = Worker(app)
    yield worker
    worker.close()
