"""The leases of workers and web processes. Both send beats; one that stops loses its lease, and others take over.

The tasks of a dead worker return to their old places in the queue, those of a dead web process are cancelled.
`spaces_workers.worker.heartbeat` and `spaces.web.client_lease` send the beats, each on its own thread and connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from spaces.farm import wire
from spaces.farm.events import Cancelled, Lost
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.scripts import Scripts

if TYPE_CHECKING:
    from redis import Redis

#: The reason for which the tasks of a dead web process end.
CLIENT_GONE = "the process that waited for it is gone"


@dataclass(frozen=True, slots=True)
class Beat:
    """The broker's answer to a worker's beat."""

    had_lease: bool  #: False for the first beat, and after the worker's lease had expired
    cancelled: dict[str, str]  #: the worker's own tasks that must stop, each with the reason


class Leases:
    """Extends and ends leases."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys, rules: Rules) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._rules = rules

    def beat(self, worker: str, info: Mapping[str, Any] | None = None) -> Beat:
        """Extend a worker's lease and store its description (plain data, for people); take over from dead workers."""
        rules = self._rules
        reply = self._scripts.run(
            "beat",
            self._keys.workers(),
            worker,
            rules.worker_lease,
            rules.client_lease,
            rules.away,
            json.dumps(dict(info or {})),
            rules.attempts,
            wire.pack(Lost(rules.attempts)),
            CLIENT_GONE,
            wire.pack(Cancelled(CLIENT_GONE)),
        )
        had_lease, *rest = reply
        words = [word.decode() for word in rest]
        return Beat(bool(had_lease), dict(zip(words[::2], words[1::2], strict=True)))

    def leave(self, worker: str) -> int:
        """End a worker's lease: its tasks return to the queue at once. Returns their number."""
        return int(self._scripts.run("leave", self._keys.workers(), worker))

    def client_beat(self, client: str) -> None:
        """Extend a web process's lease. Also takes over from dead workers, because no other worker may be alive."""
        rules = self._rules
        leases = (rules.client_lease, rules.worker_lease, rules.away)
        lost = wire.pack(Lost(rules.attempts))
        self._scripts.run("client_beat", self._keys.clients(), client, *leases, rules.attempts, lost)

    def client_leave(self, client: str) -> int:
        """End a web process's lease: its tasks are cancelled at once. Returns their number."""
        event = wire.pack(Cancelled(CLIENT_GONE))
        return int(self._scripts.run("client_leave", self._keys.clients(), client, CLIENT_GONE, event))

    def has_client(self, client: str) -> bool:
        """Whether a web process is alive."""
        expiry = self._redis.zscore(self._keys.clients(), client)
        return expiry is not None and float(expiry) > self._now()

    def clients(self) -> set[str]:
        """The web processes that are alive."""
        found = cast("list[bytes]", self._redis.zrangebyscore(self._keys.clients(), self._now(), "+inf"))
        return {client.decode() for client in found}

    def workers(self) -> dict[str, dict[str, Any]]:
        """The live workers, each with its description of itself."""
        names = [name.decode() for name in cast(list[bytes], self._redis.zrange(self._keys.workers(), 0, -1))]
        if not names:
            return {}
        infos = cast(list[bytes | None], self._redis.mget([self._keys.worker(name) for name in names]))
        return {name: json.loads(info) for name, info in zip(names, infos, strict=True) if info is not None}

    def _now(self) -> float:
        seconds, microseconds = self._redis.time()
        return seconds + microseconds / 1e6
