"""A network namespace with a link to this host that can be slow, or cut; only root may make one."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

#: The networks of such links: 198.18.0.0/15 is kept for tests of networks. Source: RFC 2544.
_NETWORK = "198.18.{}.{}"

#: What a slow link passes in a second, and how long packets may wait for it before they are dropped.
_SLOW = ("tbf", "rate", "2mbit", "burst", "16kb", "latency", "1s")

_CLONE_NEWNET = 0x40000000


class Namespace:
    """A namespace, joined to this host by a pair of virtual interfaces. `is_there` tells whether it could be made."""

    def __init__(self) -> None:
        number = _unused(os.getpid() % 250)
        self.name = f"chaos{os.getpid()}"
        self.address = _NETWORK.format(number, 2)  #: its own, as this host reaches it
        self._near, self._far = f"{self.name}n", f"{self.name}f"
        self.is_there = os.geteuid() == 0 and all(map(_done, self._steps(_NETWORK.format(number, 1))))

    def listen(self) -> socket.socket:
        """A socket that listens there."""
        with ThreadPoolExecutor(max_workers=1) as there:  # the thread stays in that namespace, and ends
            return there.submit(self._listen).result()

    def cut(self) -> None:
        """Pull the cable: nothing passes, and neither side is told."""
        _done(("ip", "-n", self.name, "link", "set", self._far, "down"))

    def mend(self) -> None:
        """Put the cable back."""
        _done(("ip", "-n", self.name, "link", "set", self._far, "up"))

    def slow(self) -> None:
        """Let little pass to there."""
        _done(self._slowed)

    def hurry(self) -> None:
        """Let everything pass."""
        _done(self._unslowed)

    def close(self) -> None:
        """Remove it."""
        _done(("ip", "link", "del", self._near))
        _done(("ip", "netns", "del", self.name))

    def _listen(self) -> socket.socket:
        with Path("/run/netns", self.name).open() as there:
            if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"namespace {self.name} could not be entered")
        return socket.create_server((self.address, 0))

    def _steps(self, near: str) -> Sequence[Sequence[str]]:
        within = ("ip", "-n", self.name)
        return (
            ("ip", "netns", "add", self.name),
            ("ip", "link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self.name),
            ("ip", "addr", "add", f"{near}/30", "dev", self._near),
            ("ip", "link", "set", self._near, "up"),
            (*within, "addr", "add", f"{self.address}/30", "dev", self._far),
            (*within, "link", "set", self._far, "up"),
            self._slowed,
            self._unslowed,
        )

    @property
    def _slowed(self) -> Sequence[str]:
        return ("tc", "qdisc", "add", "dev", self._near, "root", *_SLOW)

    @property
    def _unslowed(self) -> Sequence[str]:
        return ("tc", "qdisc", "del", "dev", self._near, "root")


def _unused(first: int) -> int:
    """The number of a network that no interface of this host is in: one may be left of a process that was killed."""
    taken = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    return next(each % 250 for each in range(first, first + 250) if _NETWORK.format(each % 250, 1) not in taken)


def _done(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
