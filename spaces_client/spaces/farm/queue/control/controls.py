"""The changes that an operator may make to a farm's queue: each takes effect with the next claim of any worker.

The broker keeps them, so they hold for all hosts, and over restarts. `zerofarm` and the operator's page call this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from spaces.errors import SpacesError
from spaces.farm.farm_status import SpaceTerms
from spaces.farm.queue.control.audit import Action, Audit

if TYPE_CHECKING:
    from spaces.farm.queue.queue import Queue

#: Seconds of waiting that a Space's tasks may be given ahead, or behind. A task is overtaken by those alone that come
#: within so many seconds after it, so every task has its turn.
MOST_PRIORITY = 600.0


class ControlFault(SpacesError, ValueError):
    """An operator asked for something that is not there, or not possible. The message says what would be."""


class Controls:
    """Acts for one operator, whom the record names. All methods may raise redis's errors."""

    def __init__(self, queue: Queue, by: str) -> None:
        self._redis = queue.redis
        self._keys = queue.keys
        self._scripts = queue.scripts
        self._audit = Audit(queue.redis, queue.keys)
        self._by = by

    def pause(self, space: str) -> bool:
        """Let the tasks of a Space wait until `resume`; those that run go on. False if it was paused before."""
        return self._done("pause", space, bool(self._scripts.run("control/pause", self._keys.paused(), space)))

    def resume(self, space: str) -> bool:
        """Return a Space's waiting tasks to their old places. False if it was not paused."""
        return self._done("resume", space, bool(self._scripts.run("control/resume", self._keys.paused(), space)))

    def pin(self, space: str) -> bool:
        """Let a Space keep its room on a GPU until `unpin`, as `pin` in `farm.toml` does. False if it did before.

        Workers hear of it within a second or two.
        """
        return self._done("pin", space, bool(self._redis.sadd(self._keys.pinned(), space)))

    def unpin(self, space: str) -> bool:
        """Let a Space make room like others, unless `farm.toml` pins it. False if no operator had pinned it."""
        return self._done("unpin", space, bool(self._redis.srem(self._keys.pinned(), space)))

    def drain(self, worker: str) -> bool:
        """Let a worker take no task any more. False if it did not before, or is named by its id and has ended.

        One that is named by its node takes none after a restart either; one that is named by its id, until it ends.
        """
        return self._done("drain", worker, bool(self._scripts.run("control/drain", self._keys.drained(), worker)))

    def undrain(self, worker: str) -> bool:
        """Let a drained worker take tasks again. False if it was not drained."""
        return self._done("undrain", worker, bool(self._scripts.run("control/undrain", self._keys.drained(), worker)))

    def limit_gpus(self, space: str, most: int | None) -> bool:
        """Let at most so many tasks of a Space run at once, on all workers together; None: as many as there are.

        Those that run already go on. False if that is its limit already. Raises ControlFault.
        """
        if most is not None and most < 1:
            raise ControlFault(f"max_gpus of Space {space} must be at least 1, got {most}. To stop it, pause it")
        changed = self._set(self._keys.max_gpus(), space, None if most is None else str(most))
        return self._done("max_gpus", space, changed, "no limit" if most is None else str(most))

    def prefer(self, space: str, seconds: float) -> bool:
        """Give each later task of a Space so many seconds of waiting ahead; negative: behind. Raises ControlFault."""
        if not -MOST_PRIORITY <= seconds <= MOST_PRIORITY:
            raise ControlFault(
                f"priority of Space {space} must be seconds from -{MOST_PRIORITY:g} to {MOST_PRIORITY:g}, got {seconds}"
            )
        changed = self._set(self._keys.priority(), space, repr(float(seconds)) if seconds else None)
        return self._done("priority", space, changed, f"{seconds:g} s")

    def forget(self, space: str) -> None:
        """Drop all that was set for a Space that is removed."""
        self._scripts.run("control/resume", self._keys.paused(), space)
        self._redis.srem(self._keys.pinned(), space)
        for key in (self._keys.max_gpus(), self._keys.priority()):
            self._redis.hdel(key, space)

    def _set(self, key: str, space: str, value: str | None) -> bool:
        before = cast("bytes | None", self._redis.hget(key, space))
        if (before.decode() if before is not None else None) == value:
            return False
        if value is None:
            self._redis.hdel(key, space)
        else:
            self._redis.hset(key, space, value)
        return True

    def _done(self, verb: str, target: str, changed: bool, detail: str = "") -> bool:
        if changed:
            self._audit.note(Action(self._by, verb, target, detail))
        return changed


def terms(queue: Queue) -> Mapping[str, SpaceTerms]:
    """The Spaces for which something is set."""
    keys = queue.keys
    with queue.redis.pipeline(transaction=False) as pipe:
        pipe.smembers(keys.paused())
        pipe.smembers(keys.pinned())
        pipe.hgetall(keys.max_gpus())
        pipe.hgetall(keys.priority())
        found = cast("tuple[set[bytes], set[bytes], dict[bytes, bytes], dict[bytes, bytes]]", pipe.execute())
    paused, pinned, most, ahead = found
    return {
        space.decode(): SpaceTerms(
            paused=space in paused,
            max_gpus=int(most[space]) if space in most else None,
            priority=float(ahead.get(space, b"0")),
            pinned=space in pinned,
        )
        for space in paused | pinned | most.keys() | ahead.keys()
    }


def pinned(queue: Queue) -> set[str]:
    """The Spaces that operators have pinned."""
    return {space.decode() for space in cast("set[bytes]", queue.redis.smembers(queue.keys.pinned()))}


def drained(queue: Queue) -> set[str]:
    """The workers that take no task: by their node for good, or by their id until they end."""
    return {name.decode() for name in cast("set[bytes]", queue.redis.smembers(queue.keys.drained()))}
