"""A farm by its gateway: for pages and programs that must not hold the broker's password. Needs no broker's library."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from spaces.errors import FarmUnavailable, SpacesError, TaskLost
from spaces.farm.events import is_end
from spaces.farm.links.gateway_address import check
from spaces.farm.links.gateway_store import GatewayStore
from spaces.farm.links.line import Line, error_of
from spaces.farm.links.messages import (
    AskHosts,
    AskPlaces,
    AskQuota,
    AskState,
    Cancel,
    Credit,
    Done,
    Find,
    Follow,
    Join,
    Joined,
    Keep,
    Leave,
    Register,
    Submit,
    TheHosts,
    ThePlaces,
    TheQuota,
    TheState,
    Undeliverable,
    Unfollow,
    Unread,
    Withdraw,
)
from spaces.farm.links.token import Token
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.limits import Limits
from spaces.farm.queue.outlook import Place
from spaces.farm.queue.quota import Quota
from spaces.farm.queue.registry import SpaceRecord
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.settings_file.tiers import QuotaRules
from spaces.farm.stream.delivery import Delivery
from spaces.farm.stream.entries import entry_of, events_of
from spaces.farm.task import State, Task

logger = logging.getLogger(__name__)

#: Seconds that the gateway may be away before readers of results get an error.
AWAY_PATIENCE = 60.0


class GatewayLink:
    """A link through a gateway."""

    def __init__(self, address: str, drop: Callable[[Payload], None], token: str = "") -> None:
        check(address)
        self._drop = drop
        self._lock = threading.Lock()
        self._deliveries: dict[str, Delivery] = {}
        self._told_after = 0.0
        self._unconfirmed: set[str] = set()  #: tasks that may not have been queued yet
        self._line = Line(
            address,
            on_event=self._deliver,
            on_failure=self._fail,
            again=self._follow_all,
            away=self._bear,
            refused=self._end,
            token=Token.of(token).shown if token else "",
        )

    @property
    def client(self) -> str:
        return self._line.welcome.client

    @property
    def rules(self) -> Rules:
        told = self._line.welcome
        visitors = dict.fromkeys(told.tokens, "")
        quota = QuotaRules(told.counts_visitors, trusted_proxies=told.trusted_proxies, visitors=visitors)
        return Rules(limits=Limits(outcome_lifetime=told.outcome_lifetime), quota=quota)

    @contextmanager
    def submitting(self, label: str) -> Iterator[None]:
        try:
            yield
        except FarmUnavailable as error:
            logger.error("%s was not queued: %s", label, error)
            raise FarmUnavailable(f"{label} was not queued: the farm takes no tasks now. Try again") from error

    def begin_lease(self) -> None:
        """The line's beats are the lease."""

    def register(self, record: SpaceRecord, archive: bytes | None) -> SpaceRecord:
        blob = self.far_store().write_bytes(archive) if archive else ""
        return self._line.call(Register(record, blob), SpaceRecord)

    def find(self, space: str) -> SpaceRecord:
        return self._line.call(Find(space), SpaceRecord)

    def submit(self, task: Task) -> Delivery:
        delivery = self._followed(task.id)
        self._unconfirmed.add(task.id)
        try:
            self._line.call(Submit(task), Done)
        except BaseException:
            self._forget(task.id)
            raise
        finally:
            self._unconfirmed.discard(task.id)
        return delivery

    def join(self, task_id: str) -> tuple[Task, Delivery]:
        delivery = self._followed(task_id)
        try:
            return self._line.call(Join(task_id), Joined).task, delivery
        except BaseException:
            self._forget(task_id)
            raise

    def cancel(self, task_id: str, reason: str) -> None:
        self._line.call(Cancel(task_id, reason), Done)

    def state(self, task_id: str) -> State | None:
        found = self._line.call(AskState(task_id), TheState).state
        return State(found) if found else None

    def places(self, task_ids: Sequence[str]) -> list[Place | None]:
        try:
            found = self._line.call(AskPlaces(tuple(task_ids)), ThePlaces).places
        except FarmUnavailable:  # only a display; the events are still read
            return [None] * len(task_ids)
        return [Place(each.ahead, each.waiting, each.seconds, each.paused) if each.waiting else None for each in found]

    def quota(self, visitor: str) -> Quota:
        found = self._line.call(AskQuota(visitor), TheQuota)
        return Quota(found.tier, found.limit, found.used, found.left, found.resets_in)

    def hosts(self) -> set[str]:
        return set(self._line.call(AskHosts(), TheHosts).hosts)

    def far_store(self) -> GatewayStore:
        return GatewayStore(self._line)

    def unfollow(self, task: Task) -> Iterable[Payload]:
        unread = self._line.call(Unfollow(task.id), Unread)
        return [task.arguments, *(Payload(blob=blob) for blob in unread.blobs)] if unread.has_ended else []

    def withdraw(self, task_id: str) -> None:
        self._line.call(Withdraw(task_id), Done)

    def keep(self, task: Task) -> None:
        self._line.call(Keep(task), Done)

    def leave(self, timeout: float) -> None:
        try:
            self._line.call(Leave(), Done, timeout)
        except FarmUnavailable as error:
            logger.debug("the gateway was not told that this process ends: %s", error)

    def close(self) -> None:
        self._line.close()

    # --- the thread of the line

    def _deliver(self, data: bytes) -> None:
        task, entry, attempt, packed = data.split(b" ", 3)
        delivery = self._deliveries.get(task.decode())
        if delivery is None:
            return
        try:
            events = events_of(delivery.task, packed)
        except Exception as error:  # of a version that is no neighbour, or damaged
            delivery.fail(TaskLost(f"an event of task {delivery.task} cannot be read: {error}"))
            self._forget(delivery.task)
            return
        if delivery.put(entry_of(entry), int(attempt), events) or is_end(events[-1]):
            self._forget(delivery.task)

    def _fail(self, told: Undeliverable) -> None:
        delivery = self._deliveries.get(told.task)
        if delivery is None:
            return
        error = error_of(told)
        delivery.fail(error)
        if isinstance(error, TaskLost):
            self._forget(told.task)

    def _follow_all(self, tell: Callable[[object], None]) -> None:
        with self._lock:
            current = [each for each in self._deliveries.values() if each.task not in self._unconfirmed]
        for each in current:
            tell(Follow(each.task, f"{each.last[0]}-{each.last[1]}"))

    def _bear(self, away: float) -> None:
        """Readers get an error once in AWAY_PATIENCE seconds; they may wait again."""
        self._told_after = min(self._told_after, away)
        if away - self._told_after < AWAY_PATIENCE:
            return
        self._told_after = away
        with self._lock:
            current = list(self._deliveries.values())
        for each in current:
            text = f"the farm's gateway has been away for {away:.0f} s while the result of task {each.task} was awaited"
            each.fail(FarmUnavailable(text))

    def _end(self, error: SpacesError) -> None:
        """The gateway admits this process no more: readers get its reason."""
        with self._lock:
            current = list(self._deliveries.values())
        for each in current:
            each.fail(error)

    def _followed(self, task_id: str) -> Delivery:
        delivery = Delivery(task_id, partial(self._pay, task_id), self._drop)
        with self._lock:
            self._deliveries[task_id] = delivery
        return delivery

    def _pay(self, task_id: str, tokens: int) -> None:
        self._line.post(Credit(task_id, tokens))  # a lost credit would stop the writer for good

    def _forget(self, task_id: str) -> None:
        with self._lock:
            self._deliveries.pop(task_id, None)
