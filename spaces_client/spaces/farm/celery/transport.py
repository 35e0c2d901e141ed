"""Celery's transport: kombu's for Redis, with the queues `zerofarm.large` and `zerofarm.xlarge` kept by rank.

`register()` replaces kombu's own transport, so URLs stay `redis://`; all but the ranked queues (control, events and so
on) is inherited. A caller needs only `sending.py`; this adds the receiving half for workers, of which `here.py` has the
facts. A message from a ranked queue has its `Lease` in `properties["lease"]`; its tag is the task's id.
"""

from __future__ import annotations

import logging
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
from spaces.farm.celery import here, steps
from spaces.farm.celery.ranked_queues import RANKED, is_ranked
from spaces.farm.celery.sending import SendingChannel
from spaces.farm.events import Cancelled, End, Failed
from spaces.farm.queue import claiming
from spaces.farm.queue.claiming import Claimed, moment
from spaces.farm.queue.queue import Queue
from spaces.farm.size import Size
from spaces.farm.task import Lease

logger = get_logger(__name__)

#: Seconds from a claim that the broker refused to the next one.
PAUSE = 0.5

REVOKED = Cancelled("revoked")
REFUSED = Failed("Reject", "the worker could not read its message. Run the same zerofarm on client and worker", "")


def register() -> None:
    """Use this transport for `redis://`, `rediss://` and `redis+socket://` in every connection from now on."""
    for scheme in ("redis", "rediss"):
        kombu_transports.TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
        kombu_transports._transport_cache.pop(scheme, None)


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
            if tag not in here.facts.settled:
                self._write(lease, end)
        finally:
            here.facts.in_hand.discard(tag)
            here.facts.settled.discard(tag)
            virtual.QoS.ack(self, tag)
            here.facts.forsake(tag)

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

    #: The answer to the claim of a step that found no task; the channel then need not claim.
    _answered: tuple[claiming.Reply, ...] = ()

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
        if is_ranked(queue) and not here.facts.worker:
            raise RuntimeError(f"cannot take tasks from {queue}: this process is no worker, identify() was not called")
        if is_ranked(queue):
            steps.consuming(self)
        return super().basic_consume(queue, *args, **kwargs)

    # Receiving: claim; if no task is found, wait for the bell; when it rings, claim again.

    def _brpop_start(self, timeout: float | None = None) -> None:
        if monotonic() < self._paused_until:
            return  # kombu calls this again, once a second at least
        if self._sizes:
            self._claim()
        else:
            self._awaited = "list"
            super()._brpop_start(timeout)

    def _claim(self) -> None:
        """Claim, unless a run does; or wait at once, if a step has claimed in vain."""
        answered, self._answered = self._answered, ()
        with here.facts.claiming:
            if here.facts.claims_elsewhere:
                return  # kombu calls this again when that is over
            if answered:
                self._wait_after(*answered)
            else:
                self._send_claim()

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
        claimed = self.ranked_queue.claimed(here.facts.worker, reply)
        if claimed is not None:
            self._deliver(claimed)
            return True
        if claiming.found_nothing(reply) and self._consumes_ranked:
            self._wait_after(reply)
        raise Empty

    def _wait_after(self, reply: claiming.Reply) -> None:
        """Wait after a claim that found no task."""
        bells = [] if reply == claiming.DRAINED else [self.ranked_queue.keys.bell(size) for size in self._sizes]
        self._send_wait(bells, moment(reply))

    def _on_bell(self, reply: tuple[bytes, bytes] | None) -> bool:
        if reply is None:
            raise Empty  # kombu then starts again, with a claim
        name = reply[0].decode()
        if name in self._all_bells:
            if self._consumes_ranked:
                self._claim()  # at once: a task waits, and kombu's loop would do other things first
            raise Empty
        self.connection._deliver(loads(reply[1].decode()), name.rsplit(self.sep, 1)[0])
        return True

    def _send_claim(self, command: str = "EVALSHA") -> None:
        queue = self.ranked_queue
        script = queue.scripts.get("claim")
        code = script.sha if command == "EVALSHA" else script.script
        self._send("claim", command, code, 1, queue.keys.workers(), *self.claim_arguments())

    def _send_wait(self, bells: list[str], at_most: float) -> None:
        lists = [
            self._q_for_pri(name, step)
            for step in self.priority_steps
            for name in self.active_queues
            if not is_ranked(name)
        ]
        call = self.ranked_queue.keys.call(here.facts.worker)
        self._send("bell", "BRPOP", call, *bells, *lists, min(at_most, self.brpop_timeout))

    def _send(self, awaited: str, *command: Any) -> None:  # Any: what redis-py encodes
        self._awaited = awaited
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self.client.connection.send_command(*command)

    def _deliver(self, claimed: Claimed) -> None:
        queue = f"zerofarm.{claimed.size}"
        here.facts.in_hand.add(claimed.lease.task.id)
        if queue in self.connection._callbacks:  # else kombu rejects the message
            here.facts.begin(claimed.lease)
        self.connection._deliver(_message(claimed), queue)

    # Called by a step, see `steps.py`.

    @property
    def wants_more(self) -> bool:
        """Whether a claim would be sent now, if there were room for a task."""
        return self._consumes_ranked and not self._in_poll and monotonic() >= self._paused_until

    def claim_arguments(self) -> list[str | bytes | float]:
        """Those of `claim.lua` for the queues that are consumed."""
        rules, sizes = self.ranked_queue.rules, self._sizes
        terms = here.facts.warmth(), here.facts.in_hand, rules.hold, here.facts.device
        return claiming.arguments(rules, here.facts.worker, sizes, *terms)

    def found(self, claimed: Claimed) -> bool:
        """Give Celery a task that was claimed, and may have begun; False if its queue is not consumed any more."""
        queue = f"zerofarm.{claimed.size}"
        if not self._consumes_ranked or queue not in self.connection._callbacks:
            return False
        self.connection._deliver(_message(claimed), queue)
        return True

    def found_nothing(self, reply: claiming.Reply) -> None:
        """A step has claimed in vain: wait for a bell next."""
        self._answered = (reply,)

    @cached_property
    def _all_bells(self) -> set[str]:
        keys = self.ranked_queue.keys
        return {keys.call(here.facts.worker), *map(keys.bell, Size)}

    @property
    def _sizes(self) -> list[Size]:
        return [RANKED[name] for name in self.active_queues if is_ranked(name)]

    @property
    def _consumes_ranked(self) -> bool:
        return not self._closing and bool(self._sizes)

    def _get(self, queue: str) -> Any:  # Any: a kombu message
        if not is_ranked(queue):
            return super()._get(queue)
        terms = here.facts.warmth(), here.facts.in_hand, 0.0, here.facts.device
        claimed = self.ranked_queue.claim(here.facts.worker, [RANKED[queue]], *terms)
        if claimed is None:
            raise Empty
        here.facts.in_hand.add(claimed.lease.task.id)
        return _message(claimed)


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu has no types
    """The transport of `redis://` after `register()`."""

    Channel = Channel


def _message(claimed: Claimed) -> Any:  # Any: a kombu message, before it is wrapped
    message = loads(claimed.message.decode())
    message["properties"]["lease"] = claimed.lease
    message["properties"]["delivery_info"]["redelivered"] = claimed.lease.attempt > 1
    return message
