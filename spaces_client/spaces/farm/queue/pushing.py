"""The arguments of `push.lua`, for `Queue.push`."""

from __future__ import annotations

from functools import cache

import msgpack

from spaces.farm import wire
from spaces.farm.payloads.payload import blobs_of
from spaces.farm.queue import quota
from spaces.farm.queue.estimates import EstimateRules, kind
from spaces.farm.queue.limits import Limits, size_of
from spaces.farm.queue.rules import Rules
from spaces.farm.task import Task
from spaces.farm.traces import task_traces


def arguments(rules: Rules, task: Task, message: bytes, retried: str) -> list[str | bytes | float]:
    """The arguments; `Queue.push` explains them."""
    return [
        task.id,
        wire.pack(task),
        message,
        task.label,
        task.space,
        task.size,
        task.client,
        task.estimate,
        task.time_limit,
        size_of(task.arguments),
        kind(task),
        quota.terms(rules.quota, task),
        _packed(rules.rank, rules.limits, rules.client_lease),
        task.reader,
        "" if any(blobs_of(task.arguments)) else 1,
        retried,
        task_traces.note(task),
        msgpack.packb(task.revision) if task.only_latest else "",
    ]


@cache
def _packed(rank: EstimateRules, limits: Limits, client_lease: float) -> bytes:
    """The rules in one argument, because each argument costs time in client and broker."""
    packed: bytes = msgpack.packb(
        {
            "weight": rank.weight,
            "floor": rank.floor,
            "cap": rank.cap,
            "doubt": rank.doubt,
            "space_queue": limits.space_queue,
            "farm_queue": limits.farm_queue,
            "payload_bytes": limits.payload_bytes,
            "client_lease": client_lease,
        }
    )
    return packed
