"""The record of what operators did: who, what, to which Space or worker. The broker keeps the latest.

`zerofarm audit` shows it. Every change by `controls.py`, and every one that `zerofarm up` is asked for, is in it.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from spaces.farm.queue.keys import AUDIT, Keys

if TYPE_CHECKING:
    from redis import Redis

#: About how many actions are kept.
KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Action:
    """One action of an operator."""

    by: str  #: who, such as `ada on gpu-host`
    verb: str  #: `pause`, `drain`, `add` ...
    target: str  #: a Space, a worker or a task
    detail: str = ""  #: more of the request, or why it failed
    at: float = 0.0  #: the broker's time, in seconds since the epoch


class Audit:
    """Writes and reads the record. Raises redis's errors."""

    def __init__(self, redis: Redis, keys: Keys | None = None) -> None:
        self._redis = redis
        self._key = (keys or Keys()).audit()

    def note(self, action: Action) -> None:
        """Add an action; its time is now."""
        fields = {name: value for name, value in asdict(action).items() if name != "at"}
        with self._redis.pipeline() as pipe:
            pipe.xadd(self._key, fields, maxlen=KEPT, approximate=True)  # type: ignore[arg-type] # texts
            pipe.expire(self._key, AUDIT)
            pipe.execute()

    def latest(self, count: int) -> list[Action]:
        """The latest actions, the last one first."""
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", self._redis.xrevrange(self._key, count=count))
        return list(_actions(found))


def this_user() -> str:
    """The user who runs this process, the one behind `sudo`, and the host."""
    user = os.environ.get("SUDO_USER") or _login_name()
    return f"{user} on {socket.gethostname()}"


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        return f"user {os.getuid()}"


def _actions(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> Iterator[Action]:
    for entry, fields in entries:
        told = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
        at = int(entry.partition(b"-")[0]) / 1000
        yield Action(told.get("by", ""), told.get("verb", ""), told.get("target", ""), told.get("detail", ""), at)
