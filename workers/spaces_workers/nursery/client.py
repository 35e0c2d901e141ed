"""The workers' side of the nursery: they start it unless it runs on this host, and ask it for zygotes.

`worker/zygote_links.py` calls this; `nursery/server.py` answers, over a socket in the run directory.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from spaces.errors import ScriptFailed, SpacesError
from spaces.farm.texts import without_middle
from spaces.farm.version import check_version
from spaces.withheld_variables import without_secrets
from spaces_workers.isolation import MODULE
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.die_with_starter import tied
from spaces_workers.link.messages import Connect, Connected, Prepare, Retire, Unmade, ZygoteLost, ZygoteSpec

#: Seconds to wait for a nursery that was just started.
START_PATIENCE = 15.0


def socket_path(run_dir: Path, log_dir: Path) -> Path:
    """The socket at which a farm's nursery on this host listens.

    Farms of one user share the run directory, but not their keys and logs. Containers may share it too, but processes
    can only be killed within their own process namespace, so each namespace has its own nursery.
    """
    theirs = f"{os.readlink('/proc/self/ns/pid')} {log_dir.resolve()}"
    return run_dir / f"nursery-{sha256(theirs.encode()).hexdigest()[:10]}.sock"  # a socket's path must be short


def ensure(run_dir: Path, log_dir: Path) -> subprocess.Popen[bytes] | None:
    """Start the farm's nursery unless it runs. A caller that gets a process owns it: it dies with the caller."""
    listening = socket_path(run_dir, log_dir)
    if _answers(listening):
        return None
    command = [sys.executable, *MODULE, "spaces_workers.nursery.server", str(run_dir), str(log_dir)]
    process = _started(command)
    deadline = time.monotonic() + START_PATIENCE
    while not _answers(listening):
        if time.monotonic() > deadline:
            process.kill()
            raise SpacesError(f"the nursery did not start within {START_PATIENCE:g} s; see {log_dir}")
        if process.poll() is not None:  # it was killed, or another worker's nursery is starting
            process = _started(command)
        time.sleep(0.01)
    return process


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(tied(command), env=without_secrets(), stdin=subprocess.DEVNULL)


def connect(nursery_socket: Path, zygote: ZygoteSpec) -> tuple[Channel, int]:
    """Return a channel to a Space's zygote, and the bytes of its weights; makes the zygote if missing (seconds).

    Raises ScriptFailed, ChannelClosed if the nursery or the zygote died meanwhile, and RefusedError for a nursery of a
    version that is no neighbour.
    """
    with _dial(nursery_socket) as nursery:
        nursery.send(Connect(zygote))
        answer, fd = nursery.receive_with_fd()
    match answer:
        case Connected(weights_bytes=weights_bytes, version=version) if fd is not None:
            channel = Channel.from_fd(fd)
            check_version("the nursery", version)
            return channel, weights_bytes
        case Unmade(traceback):
            raise ScriptFailed(
                f"the script of Space {zygote.space!r} failed in the worker; its log has the traceback\n"
                f"{without_middle(traceback)}"
            )
        case ZygoteLost(reason):
            raise ChannelClosed(reason)
        case _:
            raise TypeError(f"a nursery does not answer {type(answer).__name__}")


def prepare(nursery_socket: Path, zygote: ZygoteSpec) -> None:
    """Have a zygote made ahead of its first task."""
    with _dial(nursery_socket) as nursery:
        nursery.send(Prepare(zygote))


def retire(nursery_socket: Path, space: str, but: str = "") -> None:
    """Have the zygotes of a Space ended that no worker waits for, except that of one revision."""
    with _dial(nursery_socket) as nursery:
        nursery.send(Retire(space, but))


@contextmanager
def _dial(nursery_socket: Path) -> Iterator[Channel]:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(nursery_socket))
        except OSError as error:
            raise ChannelClosed(f"no nursery answers at {nursery_socket}: {error}") from None
        yield Channel(sock)


def _answers(nursery_socket: Path) -> bool:
    try:
        with _dial(nursery_socket):
            return True
    except ChannelClosed:
        return False
