"""How a page, or a program, reaches its farm: straight through the broker, or through a gateway that holds the broker's
password. The address decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from spaces.errors import RefusedError
from spaces.farm.links.gateway_address import is_gateway
from spaces.farm.payloads.payload import Payload

if TYPE_CHECKING:
    from spaces.farm.payloads.store import BlobStore
    from spaces.farm.queue.outlook import Place
    from spaces.farm.queue.quota import Quota
    from spaces.farm.queue.registry import SpaceRecord
    from spaces.farm.queue.rules import Rules
    from spaces.farm.stream.delivery import Delivery
    from spaces.farm.task import State, Task


class Link(Protocol):
    """A connection to one farm. If the farm does not answer, its methods raise errors that `submitting` translates."""

    @property
    def client(self) -> str:
        """The name of this process in the tasks that end with it."""

    @property
    def rules(self) -> Rules:
        """The rules of the farm, as far as a caller needs them."""

    def submitting(self, label: str) -> AbstractContextManager[None]:
        """Within this, the errors of a farm that does not answer become FarmUnavailable."""

    def begin_lease(self) -> None:
        """From now on, tasks with this `client` run only while this process lives."""

    def register(self, record: SpaceRecord, archive: bytes | None) -> SpaceRecord:
        """Make a Space known; returns its record as the farm knows it."""

    def find(self, space: str) -> SpaceRecord:
        """A Space's record. Raises RefusedError for one that is not served."""

    def submit(self, task: Task) -> Delivery:
        """Queue a task. Raises RefusedError; then nothing was queued."""

    def join(self, task_id: str) -> tuple[Task, Delivery]:
        """A task that was detached. Raises RefusedError."""

    def cancel(self, task_id: str, reason: str) -> None: ...
    def state(self, task_id: str) -> State | None: ...
    def places(self, task_ids: Sequence[str]) -> list[Place | None]:
        """The places of tasks; None for each that does not wait, or if the farm does not answer."""

    def quota(self, visitor: str) -> Quota: ...
    def hosts(self) -> set[str]:
        """The hosts of the live workers."""

    def far_store(self) -> BlobStore:
        """The store of payloads for workers of other hosts."""

    def unfollow(self, task: Task) -> Iterable[Payload]:
        """Nobody reads a task any more: the payloads that this process must discard. Raises FarmUnavailable."""

    def withdraw(self, task_id: str) -> None:
        """Stop a task whose caller was told that it was not queued. Raises FarmUnavailable."""

    def keep(self, task: Task) -> None:
        """Keep a task's outcome for a program that joins it."""

    def leave(self, timeout: float) -> None:
        """This process ends: the tasks with this `client` are cancelled."""

    def close(self) -> None: ...


def link_to(address: str, host: str, drop: Callable[[Payload], None], token: str = "") -> Link:
    """A link to the farm at an address; `drop` takes values that no reader gets.

    The other kind's libraries are not imported: those of a broker take 20 MB. Raises RefusedError for a token that is
    none, or that a broker is to be shown.
    """
    if is_gateway(address):
        from spaces.farm.links.gateway_link import GatewayLink

        return GatewayLink(address, drop, token)
    if token:
        raise RefusedError(
            "a token is shown to a gateway, and this address is a broker's. Give the gateway's, as in "
            "gateway://farm.example:7870, or no token"
        )
    from spaces.farm.links.broker_link import BrokerLink

    return BrokerLink(address, host, drop)
