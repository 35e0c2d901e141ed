"""Messages of tasks: through the farm's outbox and transport, and through kombu alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from kombu import Connection, Consumer, Exchange, Queue
from kombu.transport import redis as kombu_redis

from benchmarks.scale.brokers import make_task
from spaces.farm.celery import here, transport
from spaces.farm.celery.celery_app import make_celery
from spaces.farm.task import Task

#: What Celery sends: its headers tell what to run, its body has the arguments.
HEADERS = {"lang": "py", "task": "zerofarm.run", "timelimit": [60.0, None], "retries": 0, "ignore_result": True}
BODY = [["a lighthouse in a storm"], {"steps": 28, "seed": 7}, {"callbacks": None, "errbacks": None, "chain": None}]


class Messaging:
    """A producer and a consumer that takes one message at a time, as Celery's does."""

    def __init__(self, url: str, transport_class: type[Any]) -> None:  # Any: kombu has no types
        self._taken: list[Any] = []
        self._sending, self._receiving = (_connection(url, transport_class) for _ in range(2))
        queue = Queue("zerofarm.large", Exchange(""), routing_key="zerofarm.large")
        self._producer = self._sending.Producer()
        options = {"on_message": self._taken.append, "accept": ["json"], "prefetch_count": 1}
        Consumer(self._receiving, [queue], **options).consume()

    def round(self, count: int) -> dict[str, float]:
        """Seconds for so many pushes, claims and acknowledgements."""
        tasks = [make_task("digits") for _ in range(count)]
        seconds = {"push": _timed(lambda: self._push(tasks)), "claim": 0.0, "acknowledge": 0.0}
        for _ in tasks:
            seconds["claim"] += _timed(self._claim)
            seconds["acknowledge"] += _timed(self._taken.pop().ack)
        return seconds

    def close(self) -> None:
        """Close the connections."""
        self._sending.release()
        self._receiving.release()

    def _push(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            headers = HEADERS | {"id": task.id}
            self._producer.publish(BODY, routing_key="zerofarm.large", headers=headers, correlation_id=task.id)

    def _claim(self) -> None:
        while not self._taken:
            self._receiving.drain_events(timeout=5)


class Ours(Messaging):
    """The ranked queue. A message that is acknowledged without having run ends its task: the whole price of an end."""

    def __init__(self, url: str) -> None:
        here.identify("w1", "NVIDIA H200")
        super().__init__(url, transport.Transport)
        self._app = make_celery(url)
        self._app.conf.task_send_sent_event = False  # kombu alone sends none

    def close(self) -> None:
        self._app.close()
        super().close()

    def _push(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            self._app.outbox.send(task)


class Stock(Messaging):
    """Lists, as kombu keeps them."""

    def __init__(self, url: str) -> None:
        super().__init__(url, kombu_redis.Transport)


def _connection(url: str, transport_class: type[Any]) -> Connection:
    connection = Connection(url)
    connection.transport_cls = transport_class  # given to the constructor, the URL would outweigh it
    return connection


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
