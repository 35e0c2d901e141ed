"""What the scripts count: every change once, in the step that makes it, and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from spaces.farm.events import Cancelled, CrashCause, Crashed, End, Failed, Succeeded, TimedOut
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.counters.bounds import BOUNDS, HISTORY, HISTORY_BYTES
from spaces.farm.queue.counters.counters import Counters, Span, read_counters
from spaces.farm.queue.counters.history import Facts, read_history
from spaces.farm.queue.queue import Queue

from .support import claimed, expire_client, expire_worker, pushed

SUCCESS = Succeeded(Payload(b"5"), seconds=0.75)


def counted(
    queue: Queue, *, spaces: tuple[str, ...] = ("digits",), nodes: tuple[str, ...] = ("gpu0@host",)
) -> Counters:
    return read_counters(queue.redis, queue.keys, spaces, nodes)


def history(queue: Queue) -> list[Facts]:
    return read_history(queue.redis, queue.keys, HISTORY)


def ended(queue: Queue, end: End, held: float = 1.0, swap: float | None = 2.0) -> None:
    pushed(queue)
    assert queue.end(claimed(queue).lease, end, held, swap)


def beat(queue: Queue, totals: Mapping[str, int] = MappingProxyType({}), worker: str = "gpu0@host:1") -> None:
    info: dict[str, Any] = {"node": "gpu0@host", "sizes": ["large"], "totals": dict(totals)}  # Any: a description
    queue.leases.beat(worker, info)


def test_an_end_is_counted_once_with_its_spans(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    queue.end(lease, SUCCESS, 0.8, 2.0)
    queue.end(lease, SUCCESS, 0.8, 2.0)  # its first answer was lost
    counts = counted(queue).spaces["digits"]
    assert counts.ended == {"succeeded": 1}
    assert {span: sum(each.counts) for span, each in counts.spans.items()} == dict.fromkeys(Span, 1)
    assert counts.spans[Span.SWAP].sum == 2.0
    assert counts.spans[Span.RUN].sum == 0.75
    assert counts.spans[Span.RUN].counts[BOUNDS.index(1.0)] == 1


def test_a_span_beyond_all_buckets_counts_in_the_last(queue: Queue) -> None:
    ended(queue, Succeeded(Payload(b""), seconds=5000.0))
    assert counted(queue).spaces["digits"].spans[Span.RUN].counts[-1] == 1


def test_a_task_whose_function_never_began_has_waited_only(queue: Queue) -> None:
    ended(queue, Failed("spaces.errors.RefusedError", "no such Space", ""), swap=None)
    spans = counted(queue).spaces["digits"].spans
    assert [sum(spans[span].counts) for span in Span] == [1, 0, 0, 0]


def test_kills_are_counted_by_cause(queue: Queue) -> None:
    for end in (
        TimedOut(61.0, 60.0),
        Crashed("was killed by SIGSEGV"),
        Crashed("was killed", cause=CrashCause.OUT_OF_MEMORY),
        Cancelled("an operator"),
        SUCCESS,
    ):
        ended(queue, end)
    expected = {"time_limit": 1, "crashed": 1, "out_of_memory": 1, "cancelled": 1}
    assert counted(queue).spaces["digits"].stopped == expected


def test_a_cancelled_task_that_waited_stops_no_run(queue: Queue) -> None:
    queue.cancel(pushed(queue).id, "its visitor")
    counts = counted(queue).spaces["digits"]
    assert (counts.ended, counts.stopped) == ({"cancelled": 1}, {})
    assert sum(counts.spans[Span.WAIT].counts) == 0


def test_retries_are_counted_by_cause(queue: Queue) -> None:
    pushed(queue)
    queue.release(claimed(queue).lease)
    queue.retry(claimed(queue).lease, Crashed("could not be made"))
    claimed(queue)
    expire_worker(queue, "w1")
    beat(queue)
    counts = counted(queue)
    assert counts.spaces["digits"].retried == {"worker_left": 1, "could_not_begin": 1, "worker_died": 1}
    assert counts.expired_leases == {"worker": 1}


def test_an_expired_lease_of_a_web_process_is_counted(queue: Queue) -> None:
    pushed(queue, client="web:1")
    expire_client(queue, "web:1")
    beat(queue)
    assert counted(queue).expired_leases == {"client": 1}


def test_what_a_worker_reports_is_added_once_and_over_its_restarts(queue: Queue) -> None:
    beat(queue, {"evicted killed": 2, "busy us": 1_500_000})
    beat(queue, {"evicted killed": 2, "busy us": 1_500_000})
    beat(queue, {"evicted killed": 3, "busy us": 2_500_000})
    beat(queue, {"evicted killed": 1, "busy us": 500_000}, worker="gpu0@host:2")
    tally = counted(queue).workers["gpu0@host"]
    assert (tally.busy_seconds, tally.evicted) == (3.0, {"killed": 4})


def test_an_ended_task_is_remembered_with_its_error(queue: Queue) -> None:
    ended(queue, Failed("builtins.ValueError", "seven", "Traceback ..."))
    [facts] = history(queue)
    assert (facts.label, facts.state, facts.worker) == ("digits.generate", "failed", "w1")
    assert (facts.swap, facts.run) == (2.0, 1.0)
    assert (facts.error, facts.traceback) == ("ValueError: seven", "Traceback ...")


def test_no_result_is_remembered(queue: Queue) -> None:
    ended(queue, Succeeded(Payload(b"a secret"), seconds=1.0))
    entries = queue.redis.xrange(queue.keys.history())
    assert b"a secret" not in repr(entries).encode()


def test_the_memory_of_ended_tasks_is_bounded(queue: Queue) -> None:
    ended(queue, Failed("builtins.ValueError", "x" * 2 * HISTORY_BYTES, ""))
    assert history(queue)[0].error == ""
    for _ in range(2 * HISTORY):
        queue.cancel(pushed(queue).id, "its visitor")
    assert HISTORY <= queue.redis.xlen(queue.keys.history()) < 1.5 * HISTORY
