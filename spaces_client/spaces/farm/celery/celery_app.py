"""The Celery application of a farm: one Celery task for all Spaces, displayed under the name of the function.

Web processes `submit` to it; workers, Flower and the CLI get the same app from `make_celery`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NoReturn

from celery import Celery
from celery.app.amqp import AMQP
from kombu import Queue
from kombu.exceptions import OperationalError
from redis import AuthenticationError

from spaces.errors import FarmUnavailable
from spaces.farm.broker_errors import AWAY
from spaces.farm.celery import transport
from spaces.farm.celery.message_form import RUN
from spaces.farm.celery.outbox import SOCKET_TIMEOUT, Outbox
from spaces.farm.celery.ranked_queues import RANKED
from spaces.farm.connection import KEEPALIVE, redacted
from spaces.farm.task import Task

logger = logging.getLogger(__name__)

SETTINGS: dict[str, Any] = {  # Any: settings of several types
    "task_default_queue": "zerofarm.large",
    "task_create_missing_queues": False,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_acks_late": True,
    "task_acks_on_failure_or_timeout": True,
    # A crash of a Space's code must not be retried; the lease handles the death of a worker.
    "task_reject_on_worker_lost": False,
    "task_track_started": True,
    "task_send_sent_event": True,
    "worker_send_task_events": True,
    "worker_concurrency": 1,
    "worker_prefetch_multiplier": 1,
    # After a reconnect a channel's prefetch count starts anew; this counts the tasks that the pool still runs.
    "worker_disable_prefetch": True,
    "worker_enable_prefetch_count_reduction": False,
    # A running task outlives the connection: the heartbeat keeps its lease, the writer its events.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # A broker that refuses to write, because it is full for example, must not end a worker.
    "broker_channel_error_retry": True,
    "broker_transport_options": {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": 5.0,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    },
    "task_publish_retry_policy": {"max_retries": 4, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.5},
}


class ReadableNames(AMQP):  # type: ignore[misc]  # celery has no types
    """Adds a task's `shadow` to `task-sent`, the only event of a waiting task; Celery puts it into all others."""

    def as_task_v2(self, *args: Any, **kwargs: Any) -> Any:  # Any: celery's own
        message = super().as_task_v2(*args, **kwargs)
        if message.sent_event and message.headers["shadow"]:
            message.sent_event["name"] = message.headers["shadow"]
        return message


class FarmCelery(Celery):  # type: ignore[misc]  # celery has no types
    """Celery with an outbox for tasks of Spaces."""

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self)

    def close(self) -> None:
        if "outbox" in self.__dict__:
            self.outbox.close()
        super().close()


def make_celery(url: str) -> FarmCelery:
    """Make the app for the broker at `url`; registers the transport for the whole process."""
    transport.register()
    app = FarmCelery("zerofarm", broker=url, amqp=ReadableNames, set_as_current=False)
    app.conf.update(SETTINGS)
    app.conf.task_queues = [Queue(name, routing_key=name) for name in RANKED]
    app.task(name=RUN)(_run)
    return app


def submit(app: FarmCelery, task: Task) -> None:
    """Put a task into the queue of its size. Raises FarmUnavailable if the broker does not answer."""
    with submitting(app, task.label):
        app.outbox.send(task)


@contextmanager
def submitting(app: Celery, label: str) -> Iterator[None]:
    """Within this, errors of a broker that does not answer become FarmUnavailable.

    Visitors read its message; the broker's address and the error go to the log, for operators.
    """
    try:
        yield
    except AuthenticationError as error:
        logger.error("the broker at %s refuses %s: %s", redacted(app.conf.broker_url), label, error)
        reason = str(error).rstrip(".")
        raise FarmUnavailable(
            f"{label} was not queued: the broker refuses this process: {reason}. Give its URL with the password, as in "
            "broker.url in the state directory of the farm, or the address of the gateway and a token"
        ) from error
    except (OperationalError, *AWAY) as error:
        logger.error("the broker at %s did not take %s: %s", redacted(app.conf.broker_url), label, error)
        raise FarmUnavailable(f"{label} was not queued: the broker takes no tasks now. Try again") from error


def _run() -> NoReturn:
    raise RuntimeError(f"{RUN} is run by the pool of a ZeroFarm worker; start one with `zerofarm worker`")
