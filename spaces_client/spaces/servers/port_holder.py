"""Finds the process of this host that listens at a port, in /proc."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from spaces import config

#: The state of a listening socket, in /proc/net/tcp. Source: net/tcp_states.h of Linux.
_LISTENING = "0A"


def holder_of(port: int) -> str:
    """The process that listens at a port, in words: its id, its Space and its command line."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                return _in_words(process)
    return "a process of another user or container"


def _inodes(port: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _in_words(process: Path) -> str:
    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    variables = dict(each.partition("=")[::2] for each in (process / "environ").read_text(errors="replace").split("\0"))
    space = variables.get(config.SPACE)
    return f"process {process.name}{f' of Space {space}' if space else ''}: {command[:200]}"
