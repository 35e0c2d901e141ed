"""What a run came to: a table for people, and its faults."""

from __future__ import annotations

import bisect
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from redis import Redis

from chaos.calls import INEXCUSABLE, Call, Kind, by_kind, silences
from chaos.run import Run
from spaces.farm import wire
from spaces.farm.events import is_end
from spaces.farm.queue.queue import Queue

#: Seconds without a good answer from which on a run tells when that was.
LONG = 5.0


@dataclass
class Left:
    """What is left when the farm has come to rest, and when it has stopped."""

    unended: int
    keys: list[str]
    payloads: int
    ends: Counter[int] = field(default_factory=Counter)  #: tasks by how many ends they have
    processes: list[str] = field(default_factory=list)
    is_up: bool = True  #: `zerofarm up` still ran at the end


def ends_of_tasks(redis: Redis) -> Counter[int]:
    """How many tasks have how many ends in their streams."""
    found: Counter[int] = Counter()
    for key in redis.scan_iter(Queue(redis).keys.events("*")):
        entries = cast(list[tuple[bytes, dict[bytes, bytes]]], redis.xrange(key))
        found[sum(is_end(wire.unpack(fields[b"e"])) for _, fields in entries)] += 1
    return found


def executions(notes: Path) -> Counter[str]:
    """How often each call was executed."""
    return Counter(notes.read_text().split()) if notes.exists() else Counter()


def problems(run: Run, left: Left, executed: Counter[str]) -> list[str]:
    """Everything that must not be, each in a line."""
    found = []
    for call in run.calls:
        for kind, text in call.answers:
            if kind in INEXCUSABLE:
                found.append(f"{call.token} ({call.how}, {call.function}): {kind}: {text}")
        if len(call.answers) > 1:
            found.append(f"{call.token} ({call.how}, {call.function}) was answered {len(call.answers)} times")
        if call.answers and call.answers[0][0] is Kind.REFUSED and executed[call.token]:
            found.append(f"{call.token} ({call.how}) was executed although its caller heard: {call.answers[0][1]}")
    found += [f"{count} tasks have {ends} ends" for ends, count in left.ends.items() if ends != 1]
    if left.unended:
        found.append(f"{left.unended} tasks have not ended")
    found += [f"left in the broker: {key}" for key in left.keys]
    found += [f"left running: {process}" for process in left.processes]
    if not left.is_up:
        found.append("`zerofarm up` has ended")
    return found


def table(run: Run, left: Left, executed: Counter[str]) -> str:
    """The run in lines."""
    kinds, repeated = by_kind(run.calls), sum(count - 1 for count in executed.values())
    lines = [f"{len(run.calls)} calls, {sum(executed.values())} executions ({repeated} of them repeated)"]
    lines += [f"  {kinds[kind]:5d} {kind}" for kind in Kind]
    quiet = silences(run.calls, run.begun_at)
    longest = max((end - begin for begin, end in quiet), default=0.0)
    lines.append(f"longest time without a good answer: {longest:.1f} s")
    lines.append(f"payloads that wait to be swept: {left.payloads}")
    lines += ["", f"{'fault':38}{'times':>6}{'lasted':>8}{'calls':>7}{'good':>6}{'recovery':>10}"]
    lines += [_row(name, run) for name in sorted({blow.name for blow in run.blows})]
    lines += ["", *(_silence(begin, end, run) for begin, end in quiet if end - begin >= LONG)]
    return "\n".join(lines)


def _silence(begin: float, end: float, run: Run) -> str:
    """A time without a good answer, by the clock of logs, and the faults that may have made it."""
    at = time.strftime("%H:%M:%S", time.localtime(time.time() - time.monotonic() + begin))
    near = [blow.name for blow in run.blows if blow.struck_at < end and blow.healed_at > begin - LONG]
    return f"no good answer for {end - begin:.1f} s from {at} on: {', '.join(near)}"


def _row(name: str, run: Run) -> str:
    """The calls that were open during a fault, how many got a good answer, and how long after it the next one came."""
    good = sorted(call.answered_at for call in run.calls if _is_good(call))
    blows = [blow for blow in run.blows if blow.name == name]
    hit: dict[str, Call] = defaultdict()
    waits = []
    for blow in blows:
        hit |= {
            call.token: call
            for call in run.calls
            if call.begun_at < blow.healed_at and call.answered_at > blow.struck_at
        }
        after = bisect.bisect(good, blow.healed_at)
        waits.append(good[after] - blow.healed_at if after < len(good) else 0.0)
    lasted = sum(blow.healed_at - blow.struck_at for blow in blows)
    right = sum(map(_is_good, hit.values()))
    return f"{name:38}{len(blows):6d}{lasted:7.1f}s{len(hit):7d}{right:6d}{max(waits):9.1f}s"


def _is_good(call: Call) -> bool:
    return bool(call.answers) and call.answers[0][0] is Kind.GOOD
