"""The arguments of `end.lua`, which ends a running task."""

from __future__ import annotations

from spaces.farm import wire
from spaces.farm.events import End, Succeeded, TimedOut, state_after
from spaces.farm.queue import estimates, quota
from spaces.farm.queue.counters.causes import seconds_of, stopped_by
from spaces.farm.queue.rules import Rules
from spaces.farm.task import Lease


def arguments(rules: Rules, lease: Lease, end: End, held: float, swap: float | None) -> list[str | bytes | int | float]:
    """Those for the end of a task; `Queue.end` explains `held` and `swap`."""
    return _arguments(rules, (lease.task.id, lease.worker, lease.attempt), end, estimates.kind(lease.task), held, swap)


def of_unread(rules: Rules, task: str, worker: str, attempt: int, end: End) -> list[str | bytes | int | float]:
    """Those for the end of a task that could not be read."""
    return _arguments(rules, (task, worker, attempt), end, "", 0.0, None)


def _arguments(
    rules: Rules, fence: tuple[str, str, int], end: End, kind: str, held: float, swap: float | None
) -> list[str | bytes | int | float]:
    charged = max(0.0, held) if quota.is_charged(end) else 0.0
    how = (state_after(end), wire.pack(end), _lesson(end), kind, rules.rank.memory, charged)
    spans = ("", "", "") if swap is None else (swap, seconds_of(end, held), stopped_by(end))
    return [*fence, *how, *spans]


def _lesson(end: End) -> str:
    """The seconds to learn from, as text; empty if the run was cut short by anything but its limit."""
    match end:
        case Succeeded(seconds=seconds) | TimedOut(seconds=seconds) if seconds > 0:
            return repr(seconds)
        case _:
            return ""
