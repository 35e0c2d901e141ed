"""Celery's transport: kombu's for Redis, with the queues `zerofarm.large` and `zerofarm.xlarge` kept by rank.

`register()` replaces kombu's own transport, so URLs stay `redis://`; all but the ranked queues (control, events and so
on) is inherited. A caller needs only `sending.py`; this adds the receiving half for workers, which call `identify` and
`set_warmth` once. A message from a ranked queue has its `Lease` in `properties["lease"]`; its tag is the task's id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from queue import Empty
from time import monotonic
from typing import Any

from kombu import transport as kombu_transports
from kombu.log import get_logger
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.json import loads
from redis import ConnectionPool, Redis
from redis.exceptions import NoScriptError

from spaces.farm.broker_errors import REFUSES
from spaces.farm.celery.ranked_queues import RANKED, is_ranked
from spaces.farm.celery.sending import SendingChannel
from spaces.farm.events import Cancelled, End, Failed
from spaces.farm.queue import claiming
from spaces.farm.queue.claiming import Claimed, moment
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.warmth import Warmth
from spaces.farm.size import Size
from spaces.farm.task import Lease

logger = get_logger(__name__)

#: Seconds from a claim that the broker refused to the next one.
PAUSE = 0.5

REVOKED = Cancelled("revoked")
REFUSED = Failed("Reject", "the worker could not read its message. Run the same zerofarm on client and worker", "")


@dataclass
class Here:
    """The facts that this process, as a worker, sends to the broker with each claim."""

    worker: str = ""
    device: str = ""
    warmth: Callable[[], Warmth] = Warmth
    in_hand: set[str] = field(default_factory=set)  #: tasks that are delivered and not yet acknowledged
    settled: set[str] = field(default_factory=set)  #: those of them whose end, or return, is in the broker
    begin: Callable[[Lease], None] = lambda _: None
    forsake: Callable[[str], None] = lambda _: None


_here = Here()


def register() -> None:
    """Use this transport for `redis://`, `rediss://` and `redis+socket://` in every connection from now on."""
    for scheme in ("redis", "rediss"):
        kombu_transports.TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
        kombu_transports._transport_cache.pop(scheme, None)


def identify(worker: str, device: str = "") -> None:
    """Set the name of the worker in this process, and the device that the event `Started` of its tasks names.

    Its heartbeat must use the same name, and no two workers may share one. Without a device no `Started` is written.
    """
    _here.worker, _here.device = worker, device


def set_warmth(warmth: Callable[[], Warmth]) -> None:
    """Set the function that returns, at each claim, this worker's seconds to begin a task of each Space."""
    _here.warmth = warmth


def attend_with(begin: Callable[[Lease], None], forsake: Callable[[str], None]) -> None:
    """Have `begin` called with each task that is claimed, before Celery gets its message.

    `forsake` is called with the id of a task that is acknowledged or rejected, after this is written.
    """
    _here.begin, _here.forsake = begin, forsake


def settled(lease: Lease) -> None:
    """The task's end or its return is written: its message can be acknowledged without asking the broker."""
    _here.settled |= {lease.task.id} & _here.in_hand


class QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no types
    """Acknowledges a ranked message by making sure that its task has ended; others as kombu does.

    Closing a channel stops no task in the pool: it continues under its lease, which the heartbeat keeps, and is
    acknowledged here afterwards. So leases are kept apart from the messages that kombu returns when a channel closes.
    """

    def __init__(self, channel: Channel, prefetch_count: int = 0) -> None:
        super().__init__(channel, prefetch_count)
        self._leases: dict[str, Lease] = {}

    def append(self, message: Any, delivery_tag: str) -> None:  # Any: a kombu message
        lease = message.properties.get("lease")
        if lease is None:
            super().append(message, delivery_tag)
        else:
            self._leases[delivery_tag] = lease
            virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Fail the task unless it has ended: the pool ends its tasks itself, so Celery has discarded this one."""
        if delivery_tag in self._leases:
            self._settle(delivery_tag, REVOKED)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if delivery_tag in self._leases:
            self._settle(delivery_tag, None if requeue else REFUSED)
        else:
            super().reject(delivery_tag, requeue)

    def restore_unacked_once(self, stderr: Any = None) -> None:  # Any: kombu's own
        for tag in self._leases:
            self._delivered.pop(tag, None)
        super().restore_unacked_once(stderr)

    def _settle(self, tag: str, end: End | None) -> None:
        lease = self._leases.pop(tag)
        try:
            if tag not in _here.settled:
                self._write(lease, end)
        finally:
            _here.in_hand.discard(tag)
            _here.settled.discard(tag)
            virtual.QoS.ack(self, tag)
            _here.forsake(tag)

    def _write(self, lease: Lease, end: End | None) -> None:
        queue = self.channel.ranked_queue
        stood = queue.release(lease) if end is None else queue.end(lease, end)
        if not stood:
            logger.warning("task %s was given to another worker before %s was done", lease.task.id, lease.worker)


class Channel(SendingChannel):
    """Adds the receiving half: from a ranked queue it claims by `claim.lua` instead of popping a list."""

    QoS = QoS

    #: The answer that the consuming connection awaits: to a claim, a bell, or, as in kombu, a list.
    _awaited = "list"

    #: Until when the broker, which refused a claim, is not asked again; 0 if it did not refuse.
    _paused_until = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: kombu's own
        super().__init__(*args, **kwargs)
        self._parameters = self._connparams()

    @cached_property
    def ranked_queue(self) -> Queue:
        """The queue on its own connection, so that a task can be settled after its channel was lost."""
        return Queue(Redis(connection_pool=ConnectionPool(**self._parameters)))

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> Any:  # Any: kombu's own
        if is_ranked(queue) and not _here.worker:
            raise RuntimeError(f"cannot take tasks from {queue}: this process is no worker, identify() was not called")
        return super().basic_consume(queue, *args, **kwargs)

    # Receiving: claim; if no task is found, wait for the bell; when it rings, claim again.

    def _brpop_start(self, timeout: float | None = None) -> None:
        if monotonic() < self._paused_until:
            return  # kombu calls this again, once a second at least
        if any(map(is_ranked, self.active_queues)):
            self._send_claim()
        else:
            self._awaited = "list"
            super()._brpop_start(timeout)

    def _brpop_read(self, **options: Any) -> bool:  # Any: redis-py's own
        if self._awaited == "list":
            return bool(super()._brpop_read(**options))
        awaited, self._in_poll = self._awaited, None
        if awaited == "claim":
            return self._on_claimed(self._answer("EVALSHA", **options))
        return self._on_bell(self._answer("BRPOP", **options))

    def _answer(self, command: str, **options: Any) -> Any:  # Any: redis-py's own
        connection = self.client.connection
        try:
            return self.client.parse_response(connection, command, **options)
        except NoScriptError:
            self._send_claim("EVAL")
            raise Empty from None
        except REFUSES as error:
            self._pause(error)
            raise Empty from None
        except self.connection_errors:
            connection.disconnect()
            raise

    def _pause(self, error: Exception) -> None:
        """The broker refuses to give tasks for now: ask again later, not at once."""
        level = logging.DEBUG if self._paused_until else logging.WARNING
        logger.log(level, "the broker gives no tasks now, and is asked again: %s", error)
        self._paused_until = monotonic() + PAUSE

    def _on_claimed(self, reply: Any) -> bool:  # Any: the answer of claim.lua
        self._paused_until = 0.0
        claimed = self.ranked_queue.claimed(_here.worker, reply)
        if claimed is not None:
            self._deliver(claimed)
            return True
        if (reply is None or isinstance(reply, bytes)) and self._consumes_ranked:
            self._send_wait([] if reply == claiming.DRAINED else self._bells, moment(reply))
        raise Empty

    def _on_bell(self, reply: tuple[bytes, bytes] | None) -> bool:
        if reply is None:
            raise Empty  # kombu then starts again, with a claim
        name = reply[0].decode()
        if name in self._all_bells:
            if self._consumes_ranked:
                self._send_claim()  # at once: a task waits, and kombu's loop would do other things first
            raise Empty
        self.connection._deliver(loads(reply[1].decode()), name.rsplit(self.sep, 1)[0])
        return True

    def _send_claim(self, command: str = "EVALSHA") -> None:
        queue, sizes = self.ranked_queue, [RANKED[name] for name in self.active_queues if is_ranked(name)]
        script = queue.scripts.get("claim")
        terms = _here.warmth(), _here.in_hand, queue.rules.hold, _here.device
        arguments = claiming.arguments(queue.rules, _here.worker, sizes, *terms)
        what = script.sha if command == "EVALSHA" else script.script
        self._send("claim", command, what, 1, queue.keys.workers(), *arguments)

    def _send_wait(self, bells: list[str], at_most: float) -> None:
        lists = [
            self._q_for_pri(name, step)
            for step in self.priority_steps
            for name in self.active_queues
            if not is_ranked(name)
        ]
        call = self.ranked_queue.keys.call(_here.worker)
        self._send("bell", "BRPOP", call, *bells, *lists, min(at_most, self.brpop_timeout))

    def _send(self, awaited: str, *command: Any) -> None:  # Any: what redis-py encodes
        self._awaited = awaited
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self.client.connection.send_command(*command)

    def _deliver(self, claimed: Claimed) -> None:
        queue = f"zerofarm.{claimed.size}"
        _here.in_hand.add(claimed.lease.task.id)
        if queue in self.connection._callbacks:  # else kombu rejects the message
            _here.begin(claimed.lease)
        self.connection._deliver(_message(claimed), queue)

    @cached_property
    def _all_bells(self) -> set[str]:
        keys = self.ranked_queue.keys
        return {keys.call(_here.worker), *map(keys.bell, Size)}

    @property
    def _bells(self) -> list[str]:
        return [self.ranked_queue.keys.bell(RANKED[name]) for name in self.active_queues if is_ranked(name)]

    @property
    def _consumes_ranked(self) -> bool:
        return not self._closing and any(map(is_ranked, self.active_queues))

    def _get(self, queue: str) -> Any:  # Any: a kombu message
        if not is_ranked(queue):
            return super()._get(queue)
        terms = _here.warmth(), _here.in_hand, 0.0, _here.device
        claimed = self.ranked_queue.claim(_here.worker, [RANKED[queue]], *terms)
        if claimed is None:
            raise Empty
        _here.in_hand.add(claimed.lease.task.id)
        return _message(claimed)


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu has no types
    """The transport of `redis://` after `register()`."""

    Channel = Channel


def _message(claimed: Claimed) -> Any:  # Any: a kombu message, before it is wrapped
    message = loads(claimed.message.decode())
    message["properties"]["lease"] = claimed.lease
    message["properties"]["delivery_info"]["redelivered"] = claimed.lease.attempt > 1
    return message
