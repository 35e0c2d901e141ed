"""The messages between a page and the gateway. All that a page names is checked there.

page    -> gateway   Hello, then in any order: Register, Submit, Join, Cancel, Withdraw, AskState, AskPlaces, Unfollow,
                     Keep, AskQuota, AskHosts, Find, WriteBlob, ReadBlob, DropBlob, Credit, Leave; one way: Follow, Beat
gateway -> page      Welcome, Done, Joined, TheState, ThePlaces, Unread, TheQuota, TheHosts, a SpaceRecord, ThePiece, or
                     Refusal; by itself events and Undeliverable
"""

from __future__ import annotations

from dataclasses import dataclass, field

from spaces.farm.payloads.payload import Blob
from spaces.farm.queue.registry import SpaceRecord
from spaces.farm.task import Task
from spaces.farm.wire import message


@message
@dataclass(frozen=True, slots=True)
class Hello:
    """The first message. The gateway knows the Space by its socket, or by a token."""

    client: str  #: random hexadecimal digits, the same when the page connects again
    version: int
    token: str = field(default="", repr=False)  #: shown by those who come from other hosts
    takes_several: bool = False  #: events in one message


@message
@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer to Hello: the rules that a page needs."""

    client: str  #: the page's name as a client of the broker
    version: int
    beat: float  #: seconds between two beats
    outcome_lifetime: int
    counts_visitors: bool  #: whether quotas are on
    tokens: tuple[str, ...] = ()  #: hashes of the visitors' API tokens that the operator has listed
    trusted_proxies: tuple[str, ...] = ()


@message
@dataclass(frozen=True, slots=True)
class Register:
    """The page's Space, as a worker needs it."""

    record: SpaceRecord
    archive: str = ""  #: the name of a blob with its files


@message
@dataclass(frozen=True, slots=True)
class Submit:
    """Queue a task, unless it was queued before, and deliver its events."""

    task: Task


@message
@dataclass(frozen=True, slots=True)
class Follow:
    """Deliver the events of a task after this entry: to a page that has connected again."""

    task: str
    after: str


@message
@dataclass(frozen=True, slots=True)
class Join:
    """Deliver the events of a task that was detached, from the first on. Answer: Joined."""

    task: str


@message
@dataclass(frozen=True, slots=True)
class Joined:
    """The task that was submitted."""

    task: Task


@message
@dataclass(frozen=True, slots=True)
class Credit:
    """The reader of a task has consumed so many times YIELDS_PER_CREDIT yields."""

    task: str
    tokens: int


@message
@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a task."""

    task: str
    reason: str


@message
@dataclass(frozen=True, slots=True)
class Withdraw:
    """Stop a task whose caller was told that it was not queued, or do not accept it later."""

    task: str


@message
@dataclass(frozen=True, slots=True)
class AskState:
    """Answer: TheState."""

    task: str


@message
@dataclass(frozen=True, slots=True)
class TheState:
    """The state of a task; empty: unknown."""

    state: str


@message
@dataclass(frozen=True, slots=True)
class AskPlaces:
    """Answer: ThePlaces."""

    tasks: tuple[str, ...]


@message
@dataclass(frozen=True, slots=True)
class ThePlace:
    """The place of a waiting task; `waiting` 0: it does not wait."""

    ahead: int
    waiting: int
    seconds: float | None
    paused: bool = False


@message
@dataclass(frozen=True, slots=True)
class ThePlaces:
    """The places of the tasks, in the order of the question."""

    places: tuple[ThePlace, ...]


@message
@dataclass(frozen=True, slots=True)
class Unfollow:
    """Nobody reads a task any more. Answer: Unread."""

    task: str


@message
@dataclass(frozen=True, slots=True)
class Unread:
    """If the task has ended, the page must discard its arguments and these values; else a worker does later."""

    has_ended: bool
    blobs: tuple[Blob, ...] = ()


@message
@dataclass(frozen=True, slots=True)
class Keep:
    """Keep the outcome of a task for a program that asks for it by its id."""

    task: Task


@message
@dataclass(frozen=True, slots=True)
class AskQuota:
    """Answer: TheQuota."""

    visitor: str


@message
@dataclass(frozen=True, slots=True)
class TheQuota:
    """The fields of `queue.quota.Quota`."""

    tier: str
    limit: float | None
    used: float
    left: float | None
    resets_in: float


@message
@dataclass(frozen=True, slots=True)
class AskHosts:
    """Answer: TheHosts."""


@message
@dataclass(frozen=True, slots=True)
class TheHosts:
    """The hosts of the live workers."""

    hosts: tuple[str, ...]


@message
@dataclass(frozen=True, slots=True)
class Find:
    """Answer: the SpaceRecord."""

    space: str


@message
@dataclass(frozen=True, slots=True)
class WriteBlob:
    """Write a piece of a large payload in the broker."""

    name: str
    offset: int
    data: bytes


@message
@dataclass(frozen=True, slots=True)
class ReadBlob:
    """Answer: ThePiece."""

    name: str
    offset: int


@message
@dataclass(frozen=True, slots=True)
class ThePiece:
    """A piece of a large payload; `size_bytes` -1: the payload is gone."""

    data: bytes
    size_bytes: int


@message
@dataclass(frozen=True, slots=True)
class DropBlob:
    """Delete a large payload in the broker."""

    name: str


@message
@dataclass(frozen=True, slots=True)
class Beat:
    """The page lives."""


@message
@dataclass(frozen=True, slots=True)
class Leave:
    """The page ends: the tasks that it waits for are cancelled."""


@message
@dataclass(frozen=True, slots=True)
class Done:
    """It is done."""


@message
@dataclass(frozen=True, slots=True)
class Refusal:
    """It was not done. The error is one of `spaces.errors`."""

    error: str
    text: str


@message
@dataclass(frozen=True, slots=True)
class Undeliverable:
    """No more events of this task can be delivered, for a reason that its reader gets as an error."""

    task: str
    error: str
    text: str


Answer = (
    Welcome | Done | Joined | TheState | ThePlaces | Unread | TheQuota | TheHosts | SpaceRecord | ThePiece | Refusal
)
