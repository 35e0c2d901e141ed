"""The visitors of pages: an open page, or a call, keeps a connection to it.

A call may take two connections, one after the other. The system remembers for a minute when a connection has ended.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: The state of an open connection, in /proc/net/tcp. Source: net/tcp_states.h of Linux.
_ESTABLISHED = "01"

#: The timer of a connection that has ended, and the seconds for which it runs. Source: net/ipv4/tcp_ipv4.c and
#: TCP_TIMEWAIT_LEN of Linux.
_TIME_WAIT, _REMEMBERED = "03", 60.0

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Visits:
    """The visits of one port."""

    connections: int = 0  #: that are open
    ended_for: float = math.inf  #: seconds since the last one ended; 0 while one is open; inf: longer than a minute


def latest_visits(ports: Collection[int]) -> dict[int, Visits]:
    """The visits of each of these ports of this host.

    It reads all connections of the host, which takes longer the more there are: call it from no event loop.
    """
    found = dict.fromkeys(ports, Visits())
    for line in _connections():
        for port in _ends(line) & found.keys():
            connections = found[port].connections + (line[3] == _ESTABLISHED)
            found[port] = Visits(connections, min(found[port].ended_for, _ended_for(line)))
    return found


def _ends(line: list[str]) -> set[int]:
    """The ports of this host that a connection has joined. One that has ended is kept by the side that closed it."""
    _, ours, theirs, state, _, timer, *_ = line
    if timer.startswith(_TIME_WAIT) and ours.partition(":")[0] == theirs.partition(":")[0]:
        return {_port_of(ours), _port_of(theirs)}
    return {_port_of(ours)} if state == _ESTABLISHED or timer.startswith(_TIME_WAIT) else set()


def _ended_for(line: list[str]) -> float:
    kind, _, left = line[5].partition(":")
    return max(0.0, _REMEMBERED - int(left, 16) / _TICKS) if kind == _TIME_WAIT else 0.0


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _connections() -> Iterator[list[str]]:
    for table in (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                yield line.split(maxsplit=6)
