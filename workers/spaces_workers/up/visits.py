"""The visitors of pages: an open page, or a call, keeps a connection to it.

A call may take two connections, one after the other. The system remembers for a minute when a connection has ended.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

#: The state of an open connection, in /proc/net/tcp. Source: net/tcp_states.h of Linux.
_ESTABLISHED = "01"

#: The timer of a connection that has ended, and the seconds for which it runs. Source: net/ipv4/tcp_ipv4.c and
#: TCP_TIMEWAIT_LEN of Linux.
_TIME_WAIT, _REMEMBERED = "03", 60.0

_TICKS = os.sysconf("SC_CLK_TCK")


def visited(ports: Collection[int]) -> Counter[int]:
    """Those of these ports of this host to which somebody is connected, with the number of connections."""
    wanted = set(ports)
    return Counter(port for line in _connections() if line[3] == _ESTABLISHED and (port := _port_of(line[1])) in wanted)


def last_visits(ports: Collection[int]) -> dict[int, float]:
    """Seconds since somebody was connected to each of these ports; 0 while somebody is. Without those unvisited for a
    minute.
    """
    wanted, found = set(ports), dict[int, float]()
    for line in _connections():
        for port in _ends(line) & wanted:
            found[port] = min(found.get(port, _REMEMBERED), _ended_for(line))
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
