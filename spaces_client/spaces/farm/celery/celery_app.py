"""The Celery application of a farm: one task for all Spaces, shown to people under the name of what it runs.

Web processes `submit` to it; workers, Flower and the CLI are given the same app by `make_celery`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from celery import Celery
from celery.app.amqp import AMQP
from kombu import Queue
from kombu.exceptions import OperationalError

from spaces.errors import FarmUnavailable
from spaces.farm.broker_errors import AWAY
from spaces.farm.celery import transport
from spaces.farm.celery.ranked import RANKED
from spaces.farm.celery.sending import outgoing
from spaces.farm.connection import redacted
from spaces.farm.task import Size, Task

logger = logging.getLogger(__name__)

#: The name of the one task. What people read is its `shadow`, the task's label.
RUN = "zerofarm.run"

#: Seconds after which a broker that does not answer counts as gone.
SOCKET_TIMEOUT = 10.0

SETTINGS: dict[str, Any] = {  # Any: settings of several types
    "task_default_queue": "zerofarm.large",
    "task_create_missing_queues": False,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_acks_late": True,
    "task_acks_on_failure_or_timeout": True,
    # A crash of a Space's code must not be tried again; the death of a worker is the lease's affair.
    "task_reject_on_worker_lost": False,
    "task_track_started": True,
    "task_send_sent_event": True,
    "worker_send_task_events": True,
    "worker_concurrency": 1,
    "worker_prefetch_multiplier": 1,
    # Counts the tasks that the pool still runs after a reconnect, where the prefetch count of a channel starts anew.
    "worker_disable_prefetch": True,
    "worker_enable_prefetch_count_reduction": False,
    # A running task outlives the connection: its lease is kept by the heartbeat, its events by the writer.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # A broker that refuses to write, because it is full for example, must not end a worker.
    "broker_channel_error_retry": True,
    "broker_transport_options": {"socket_timeout": SOCKET_TIMEOUT, "socket_connect_timeout": 5.0},
    "task_publish_retry_policy": {"max_retries": 4, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.5},
}


class ReadableNames(AMQP):  # type: ignore[misc]  # celery has no types
    """Celery shows a task's `shadow` in every event except `task-sent`, the only one that a waiting task has."""

    def as_task_v2(self, *args: Any, **kwargs: Any) -> Any:  # Any: celery's own
        message = super().as_task_v2(*args, **kwargs)
        if message.sent_event and message.headers["shadow"]:
            message.sent_event["name"] = message.headers["shadow"]
        return message


def make_celery(url: str) -> Celery:
    """The app on the broker at `url`; registers the transport for the whole process."""
    transport.register()
    app = Celery("zerofarm", broker=url, amqp=ReadableNames, set_as_current=False)
    app.conf.update(SETTINGS)
    app.conf.task_queues = [Queue(name, routing_key=name) for name in RANKED]
    app.task(name=RUN)(_run)
    return app


def submit(app: Celery, task: Task) -> None:
    """Put a task into the queue of its size. Raises FarmUnavailable if the broker does not answer."""
    with submitting(app, task.label), outgoing(task):
        app.send_task(
            RUN,
            task_id=task.id,
            queue=f"zerofarm.{Size(task.size)}",
            shadow=task.label,
            argsrepr=task.summary,
            kwargsrepr="",
            time_limit=task.time_limit,
            ignore_result=True,
            declare=[],  # a ranked queue is always there
        )


@contextmanager
def submitting(app: Celery, label: str) -> Iterator[None]:
    """Within this, a broker that does not answer is a FarmUnavailable.

    Visitors read that; where the broker is, and what it is about, is the operators' to know, from the log.
    """
    try:
        yield
    except (OperationalError, *AWAY) as error:
        logger.error("the broker at %s did not take %s: %s", redacted(app.conf.broker_url), label, error)
        raise FarmUnavailable(f"{label} was not queued: the broker takes no tasks now. Try again") from error


def _run() -> NoReturn:
    raise RuntimeError(f"{RUN} is run by the pool of a ZeroFarm worker; start one with `zerofarm worker`")
