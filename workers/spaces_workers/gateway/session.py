"""One connection to the gateway: answers what its page asks, and does nothing for any other Space."""

from __future__ import annotations

import logging
import re
import socket
from dataclasses import astuple, replace
from typing import Any, cast

from kombu.exceptions import OperationalError
from redis import RedisError

from spaces.errors import FarmUnavailable, RefusedError, SpacesError, TaskLost
from spaces.farm import wire
from spaces.farm.broker_errors import AWAY
from spaces.farm.links import messages as says
from spaces.farm.links.detached import keep_outcome, read_detached
from spaces.farm.links.frames import FAILURE, ONE_WAY, Frames, frame
from spaces.farm.payloads.payload import blobs_of
from spaces.farm.queue.control.rivals import announce
from spaces.farm.queue.registry import SpaceRecord
from spaces.farm.stream.entries import BEFORE_ALL, Entry, entry_of
from spaces.farm.stream.unread import unfollow, values_of
from spaces.farm.task import Task, unknown_task
from spaces.farm.version import VERSION, check_version
from spaces_workers.gateway.admission import Admission, Visa, VisaEnded
from spaces_workers.gateway.blobs import Blobs
from spaces_workers.gateway.broker_side import BrokerSide
from spaces_workers.gateway.outlet import Outlet
from spaces_workers.gateway.relay import Forwarding, Reader
from spaces_workers.gateway.tenant import Tenant, is_task_id

logger = logging.getLogger(__name__)

#: Seconds for the first message of a connection.
GREETING_PATIENCE = 10.0

#: Bytes of the first message: nobody knows yet who sends it.
LONGEST_GREETING = 4096

_CLIENT = re.compile(r"[0-9a-f]{12}")

#: Tasks whose places are asked for at once.
MOST_PLACES = 5000


class Session:
    """A connection of a page or a program, on a thread of its own."""

    tenant: Tenant

    def __init__(self, sock: socket.socket, outlet: Outlet, broker: BrokerSide, admission: Admission) -> None:
        self._frames = Frames(sock)
        self._outlet = outlet
        self._broker = broker
        self._queue = broker.queue()
        self._blobs = Blobs(self._queue)
        self._reader = Reader(outlet)
        self._visa = Visa(admission, self._queue)
        self.client = ""

    def serve(self) -> None:
        """Answer until the connection ends."""
        try:
            if not self._greet():
                return
            while True:
                found = self._frames.next(self._visa.lasts)
                self._visa.renew()
                if found is not None:
                    self._hear(*found)
        except VisaEnded as error:
            logger.info("%s is disconnected: %s", self.client, error)
        except (ConnectionError, OSError) as error:
            logger.debug("a page has disconnected: %s", error)
        except wire.BadMessage as error:
            logger.warning("%s sent garbage and is disconnected: %s", self.client or "a connection", error)
        finally:
            self._visa.end()
            self._broker.relay.forget_all(self._reader)
            self._queue.redis.close()

    def _greet(self) -> bool:
        found = self._frames.first(GREETING_PATIENCE, LONGEST_GREETING)
        if found is None:
            return False
        number, body = found
        hello = wire.unpack_as(says.Hello, body)
        try:
            check_version("the page", hello.version)
            answer: object = self._welcome(hello)
        except (SpacesError, *AWAY) as error:
            answer = _refusal(error)
        self._outlet.send(frame(number, wire.pack(answer)))
        return isinstance(answer, says.Welcome)

    def _welcome(self, hello: says.Hello) -> says.Welcome:
        if not _CLIENT.fullmatch(hello.client):
            raise RefusedError("a client is named by twelve hexadecimal digits")
        rules = self._queue.rules
        self.tenant = self._visa.ask(hello.token)
        self._reader.takes_several = hello.takes_several
        self.client = f"{self._broker.host}:{self.tenant.space}:{self.tenant.name(hello.client)}"
        self._beat()
        quota = rules.quota
        return says.Welcome(
            client=self.client,
            version=VERSION,
            beat=rules.client_beat,
            outcome_lifetime=rules.limits.outcome_lifetime,
            counts_visitors=quota.enabled,
            tokens=tuple(name for name in quota.visitors if name.startswith("token:")),
            trusted_proxies=quota.trusted_proxies,
        )

    def _hear(self, number: int, body: bytes) -> None:
        message = wire.unpack(body)
        try:
            answer = self._answer(message)
        except (SpacesError, OperationalError, RedisError, UnicodeError) as error:
            answer = _refusal(error)
            logger.debug("%s was refused a %s: %s", self.client, type(message).__name__, error)
        if number != ONE_WAY:
            self._outlet.send(frame(number, wire.pack(answer)))

    def _answer(self, message: Any) -> object:  # Any: matched on its class
        match message:
            case says.Submit(task):
                self._submit(task)
            case says.Credit(task, tokens) if task in self._reader.tasks:
                self._broker.relay.pay(task, min(tokens, 1000))
            case says.Beat():
                self._beat()
            case says.Follow(task, after):
                self._follow(task, after)
            case says.Cancel(task, reason):
                self._queue.cancel(self._owned(task), reason[:1000])
            case says.Withdraw(task):
                self._withdraw(task)
            case says.Register(record, archive):
                return self._register(record, archive)
            case says.Keep(task):
                self._keep(task)
            case says.Leave():
                self._leave()
            case says.WriteBlob(name, offset, data):
                self._blobs.write(name, offset, data)
            case says.DropBlob(name):
                self._blobs.drop(name)
            case _:
                return self._told(message)
        return says.Done()

    def _told(self, message: Any) -> object:  # Any: matched on its class
        """The answer to a question."""
        queue = self._queue
        match message:
            case says.AskPlaces(tasks):
                return self._places(tasks)
            case says.AskHosts():
                return says.TheHosts(tuple({info["host"] for info in queue.leases.workers().values()}))
            case says.Unfollow(task):
                return self._unread(self._owned(task))
            case says.AskState(task):
                found = queue.state(self._owned(task))
                return says.TheState(str(found.state) if found else "")
            case says.AskQuota(visitor) if self.tenant.may_ask_for(visitor):
                quota = queue.ledger.standing(visitor).quota
                return says.TheQuota(quota.tier, quota.limit, quota.used, quota.left, quota.resets_in)
            case says.Find(space):
                self.tenant.check(space)
                return self.tenant.found(self._broker.registry(queue).find(space))
            case says.Join(task):
                return self._joined(task)
            case says.ReadBlob(name, offset):
                return self._blobs.read(name, offset)
            case _:
                raise RefusedError(f"a gateway cannot {type(message).__name__}")

    def _submit(self, task: Task) -> None:
        relay = self._broker.relay
        rules = self._queue.rules
        stamped = self.tenant.task(task, self.client, relay.name, rules.quota.enabled)
        if not rules.privacy.arguments:
            stamped = replace(stamped, summary="")
        forwarding = Forwarding(task.id, task.space, self._reader)
        relay.expect(forwarding)
        try:
            is_new = self._broker.push(stamped)
        except BaseException:
            relay.drop(forwarding)
            raise
        if is_new:
            forwarding.release()
        else:
            relay.drop(forwarding)
            self._catch_up(task.id, BEFORE_ALL)

    def _withdraw(self, task: str) -> None:
        if self._known_space(task) not in (None, self.tenant.space):
            raise RefusedError("a task of this id exists")
        self._queue.withdraw(task)

    def _follow(self, task: str, after: str) -> None:
        try:
            self._catch_up(task, entry_of(after))
        except ValueError:
            raise RefusedError("an entry is named by two numbers") from None
        except RefusedError as error:
            self._outlet.send(frame(FAILURE, wire.pack(says.Undeliverable(task, TaskLost.__name__, str(error)))))

    def _catch_up(self, task: str, after: Entry) -> None:
        space = self._space_of(task)
        self._broker.relay.catch_up(Forwarding(task, space, self._reader, after))

    def _owned(self, task: str) -> str:
        """The task, if it is one of this tenant's. Raises RefusedError, also for an unknown one."""
        if task not in self._reader.tasks:
            self._space_of(task)
        return task

    def _space_of(self, task: str) -> str:
        space = self._known_space(task)
        if space != self.tenant.space:
            raise unknown_task(task[:32], self._queue.rules.limits.outcome_lifetime)
        return space

    def _known_space(self, task: str) -> str | None:
        if not is_task_id(task):
            raise RefusedError("a task is named by 32 hexadecimal digits")
        space = cast("bytes | None", self._queue.redis.hget(self._queue.keys.task(task), "space"))
        return None if space is None else space.decode()

    def _joined(self, task: str) -> says.Joined:
        found = read_detached(self._queue, self._owned(task))
        self._catch_up(task, BEFORE_ALL)
        return says.Joined(found)

    def _register(self, record: SpaceRecord, archive: str) -> SpaceRecord:
        stamped = self.tenant.record(record, self.client, self._broker.host)
        registry, files = self._broker.registry(self._queue), self._blobs.taken(archive) if archive else None
        if not self.tenant.serves:
            registry.propose(stamped, files)
            return stamped
        announce(self._queue, stamped)
        registry.register(stamped, files)
        return stamped

    def _keep(self, task: Task) -> None:
        self._owned(task.id)
        self.tenant.check(task.space)
        keep_outcome(self._queue, task)

    def _places(self, tasks: tuple[str, ...]) -> says.ThePlaces:
        asked = [task for task in tasks[:MOST_PLACES] if task in self._reader.tasks]
        found = dict(zip(asked, self._queue.outlook.places(asked), strict=True)) if asked else {}
        places = (found.get(task) for task in tasks)
        nowhere = says.ThePlace(0, 0, None)
        return says.ThePlaces(tuple(says.ThePlace(*astuple(each)) if each else nowhere for each in places))

    def _unread(self, task: str) -> says.Unread:
        self._broker.relay.forget(task)
        self._reader.tasks.discard(task)
        if unfollow(self._queue, task):
            return says.Unread(has_ended=False)
        return says.Unread(True, tuple(blob for payload in values_of(self._queue, task) for blob in blobs_of(payload)))

    def _beat(self) -> None:
        self._queue.leases.client_beat(self.client)
        self._queue.expire()

    def _leave(self) -> None:
        self._queue.leases.client_leave(self.client)


def _refusal(error: Exception) -> says.Refusal:
    if isinstance(error, SpacesError):
        return says.Refusal(type(error).__name__, str(error))
    if isinstance(error, (OperationalError, *AWAY)):
        return says.Refusal(FarmUnavailable.__name__, "the broker does not answer")
    return says.Refusal(RefusedError.__name__, "a field has a value that the broker cannot hold")
