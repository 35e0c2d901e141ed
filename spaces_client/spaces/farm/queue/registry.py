"""The Spaces of a farm, kept in its broker, so that a worker that has never seen a Space can make its zygote."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from spaces.errors import RefusedError
from spaces.farm import wire
from spaces.farm.events import Failed, Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import Keys
from spaces.farm.task import FunctionName
from spaces.farm.version import VERSION, check_version
from spaces.source import Source

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline, PubSub

#: Seconds that a Space is remembered after its web process was last seen.
LIFETIME = 7 * 24 * 3600

#: A larger Space's files are not sent through the broker.
ARCHIVE_LIMIT_BYTES = 64 * 1024 * 1024


@wire.message
@dataclass(frozen=True, slots=True)
class ImportCall:
    """The recorded result of one GPU call that a script made before its launch."""

    function: FunctionName
    yields: tuple[Payload, ...]
    end: Succeeded | Failed


@wire.message
@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """A decorated function, for callers that hold no copy of the Space."""

    name: FunctionName
    duration: float | None  #: None: the Space computes it from the arguments
    size: str
    yields: bool


@wire.message
@dataclass(frozen=True, slots=True)
class SpaceRecord:
    """Everything that a worker needs to make a Space's zygote."""

    name: str
    revision: str
    app_file: str  #: absolute path on the host that serves the Space
    root: str  #: the Space's folder, likewise
    alone: bool  #: the script is the whole Space
    host: str
    python: str  #: the interpreter that runs the Space
    isolated: bool  #: the interpreter belongs to an environment made for the Space
    functions: tuple[FunctionRecord, ...]
    calls: tuple[ImportCall, ...] = ()  #: recorded results of the calls that the script made before its launch
    client: str = ""  #: the web process that serves it; empty if no web process registered it
    version: int = 0  #: of the formats of the process that registered it

    @property
    def digest(self) -> str:
        """The digest of the Space's files."""
        return self.revision.partition(".")[0]

    @property
    def source(self) -> Source:
        """The Space's files, if this host has them at the same path."""
        return Source(Path(self.app_file), self.alone, Path(self.root))

    def function(self, name: str) -> FunctionRecord:
        """The function of this name. Raises RefusedError, which lists the functions."""
        for each in self.functions:
            if name in (str(each.name), each.name.qualname):
                return each
        known = ", ".join(sorted(str(each.name) for each in self.functions)) or "none"
        raise RefusedError(f"Space {self.name!r} has no function {name!r}; its GPU functions are: {known}")


class Registry:
    """Reads and writes the records of Spaces."""

    def __init__(self, redis: Redis, keys: Keys | None = None) -> None:
        self._redis = redis
        self._keys = keys or Keys()

    def register(self, record: SpaceRecord, archive: bytes | None) -> None:
        """Make a Space known for LIFETIME seconds, as its latest revision. `archive`: its files, if not too large."""
        packed = wire.pack(record)
        with self._redis.pipeline() as pipe:
            self._keep(pipe, record, packed, archive)
            pipe.set(self._keys.space(record.name), packed, ex=LIFETIME)
            pipe.sadd(self._keys.spaces(), record.name)
            pipe.publish(self._keys.registrations(), record.name)
            pipe.execute()

    def propose(self, record: SpaceRecord, archive: bytes | None) -> None:
        """Make a revision known for LIFETIME seconds, which is not the latest before `promote`."""
        packed = wire.pack(record)
        with self._redis.pipeline() as pipe:
            self._keep(pipe, record, packed, archive)
            pipe.set(self._keys.candidate(record.name), packed, ex=LIFETIME)
            pipe.execute()

    def candidate(self, name: str) -> SpaceRecord | None:
        """The revision of a Space that was proposed last, and not promoted."""
        packed = self._redis.get(self._keys.candidate(name))
        return None if packed is None else _record(packed)

    def promote(self, record: SpaceRecord) -> None:
        """Make a revision that was proposed the latest."""
        self.register(record, None)
        self.withdraw(record.name)

    def withdraw(self, name: str) -> None:
        """Forget the revision that was proposed."""
        self._redis.delete(self._keys.candidate(name))

    def forget(self, name: str) -> None:
        """Let nobody find a Space any more, and workers give up what they keep for it. Its tasks are not ended."""
        with self._redis.pipeline() as pipe:
            pipe.delete(self._keys.space(name), self._keys.candidate(name))
            pipe.srem(self._keys.spaces(), name)
            pipe.publish(self._keys.idle_spaces(), name)
            pipe.execute()

    def _keep(self, pipe: Pipeline, record: SpaceRecord, packed: bytes, archive: bytes | None) -> None:
        pipe.set(self._keys.revision(record.name, record.revision), packed, ex=LIFETIME)
        if archive is not None:
            pipe.set(self._keys.archive(record.name, record.digest), archive, ex=LIFETIME)

    def renew(self, name: str) -> None:
        """Remember a Space for LIFETIME seconds more, with its files, because it is served still."""
        packed = cast("bytes | None", self._redis.get(self._keys.space(name)))
        for record in _readable([packed] if packed else []):
            with self._redis.pipeline() as pipe:
                pipe.expire(self._keys.space(name), LIFETIME)
                pipe.expire(self._keys.revision(name, record.revision), LIFETIME)
                pipe.expire(self._keys.archive(record.name, record.digest), LIFETIME)
                pipe.execute()

    def tell_of_idleness(self, name: str) -> None:
        """Tell the workers that nobody uses a Space now, so that they give up what they keep for it."""
        self._redis.publish(self._keys.idle_spaces(), name)

    def tell_of_visit(self, name: str) -> None:
        """Tell the workers that somebody has opened the page of a Space, who will probably call it."""
        self._redis.publish(self._keys.visits(), name)

    @contextmanager
    def announcements(self) -> Iterator[Announcements]:
        """Subscribe to what is told of Spaces from now on."""
        from spaces.farm.subscription import Subscription

        with Subscription(self._redis.connection_pool, ignore_subscribe_messages=True) as subscription:
            subscription.subscribe(self._keys.registrations(), self._keys.idle_spaces())
            yield Announcements(subscription, self._keys)

    def find(self, name: str, revision: str = "") -> SpaceRecord:
        """A Space's record, the latest or that of one revision. Raises RefusedError for a Space that is not served."""
        key = self._keys.revision(name, revision) if revision else self._keys.space(name)
        packed = self._redis.get(key)
        if packed is None:
            known = ", ".join(sorted(record.name for record in self.all())) or "none"
            raise RefusedError(f"the farm knows no Space {name!r}; it serves: {known}")
        return _record(packed)

    def archive(self, record: SpaceRecord) -> bytes | None:
        """A Space's files, if the broker has them."""
        return self._redis.get(self._keys.archive(record.name, record.digest))  # type: ignore[return-value] # the client is synchronous

    def all(self) -> list[SpaceRecord]:
        """The latest record of every Space; removes names whose record has expired."""
        names = sorted(name.decode() for name in cast(set[bytes], self._redis.smembers(self._keys.spaces())))
        found = {name: self._redis.get(self._keys.space(name)) for name in names}
        gone = [name for name, packed in found.items() if packed is None]
        if gone:
            self._redis.srem(self._keys.spaces(), *gone)
        return list(_readable(packed for packed in found.values() if packed is not None))


@dataclass(frozen=True, slots=True)
class Registered:
    """A Space has registered, for the first time or again."""

    space: str


@dataclass(frozen=True, slots=True)
class BecameIdle:
    """Nobody uses a Space: its web process has ended."""

    space: str


class Announcements:
    """The news of Spaces, in the order in which they come."""

    def __init__(self, subscription: PubSub, keys: Keys) -> None:
        self._subscription = subscription
        self._idle = keys.idle_spaces().encode()

    def next(self, timeout: float) -> Registered | BecameIdle | None:
        """The next announcement, or None after `timeout` seconds without one."""
        message = self._subscription.get_message(timeout=timeout)
        if message is None:
            return None
        space = bytes(message["data"]).decode(errors="replace")  # then it is no Space that is served
        return BecameIdle(space) if message["channel"] == self._idle else Registered(space)


def record_of(
    name: str,
    source: Source,
    digest: str,
    host: str,
    functions: Iterable[FunctionRecord],
    calls: tuple[ImportCall, ...] = (),
    client: str = "",
) -> SpaceRecord:
    """The record of a Space that this process serves. Each call before the launch makes another revision."""
    return SpaceRecord(
        name=name,
        revision=f"{digest}.{len(calls)}" if calls else digest,
        app_file=str(source.app_file.resolve()),
        root=str(source.root.resolve()),
        alone=source.alone,
        host=host,
        python=sys.executable,
        isolated=(Path(sys.prefix) / "notes.json").is_file(),
        functions=tuple(functions),
        calls=calls,
        client=client,
        version=VERSION,
    )


@lru_cache(maxsize=64)
def _record(packed: object) -> SpaceRecord:
    record = wire.unpack_as(SpaceRecord, packed)  # type: ignore[arg-type] # bytes: decode_responses is off
    check_version(f"Space {record.name!r}", record.version)
    return record


def _readable(packed: Iterable[object]) -> Iterator[SpaceRecord]:
    """The records that this version can read: one Space that it cannot read hides no other."""
    for each in packed:
        with suppress(wire.BadMessage, RefusedError):
            yield _record(each)
