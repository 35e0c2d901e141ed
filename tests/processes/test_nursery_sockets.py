"""Whatever comes over a socket of the nursery, it goes on making zygotes for everybody else."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces.errors import ScriptFailed
from spaces.farm import wire
from spaces_workers.link.messages import Close, ZygoteSpec
from spaces_workers.nursery import client as nursery
from spaces_workers.nursery import roster
from tests.waiting import wait_until


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """The socket of a nursery."""
    process = nursery.ensure(tmp_path, tmp_path / "logs")
    assert isinstance(process, subprocess.Popen)
    yield nursery.socket_path(tmp_path, tmp_path / "logs")
    assert process.poll() is None
    process.terminate()
    process.wait()


def spec_of(folder: Path, script: str) -> ZygoteSpec:
    app = folder / "app.py"
    app.write_text(script)
    return ZygoteSpec("digits", "revision", str(app), sys.executable, b"k" * 32)


def test_a_connection_that_sends_garbage_or_half_a_message_hinders_no_other(listening: Path, tmp_path: Path) -> None:
    """Half a header stopped all Spaces for as long as its sender lived, and a message of another kind ended the
    nursery."""
    sent = [b"\0\0", struct.pack("!I", 2**32 - 1), struct.pack("!I", 4) + b"\xc1\xc1\xc1\xc1"]
    message = wire.pack(Close())
    sent += [struct.pack("!I", len(message)) + message, struct.pack("!I", 1000) + b"begun"]
    connections = [socket.socket(socket.AF_UNIX) for _ in sent]
    for connection, data in zip(connections, sent, strict=True):
        connection.connect(str(listening))
        connection.sendall(data)
    with pytest.raises(ScriptFailed, match="no luck"):
        nursery.connect(listening, spec_of(tmp_path, "raise RuntimeError('no luck')"))
    for connection, is_closed in zip(connections, [False, True, True, True, False], strict=True):
        connection.setblocking(is_closed)
        if is_closed:
            assert connection.recv(1) == b""
        else:
            with pytest.raises(BlockingIOError):
                connection.recv(1)
        connection.close()


@pytest.mark.parametrize("lie", ["Close()", "Forked(1)", "None"])
def test_a_script_that_writes_to_the_farms_socket_harms_its_own_space_alone(
    lie: str, listening: Path, tmp_path: Path
) -> None:
    """Such a message ended the nursery, and with it the zygotes of all Spaces."""
    script = f"""
import os, socket, struct, sys
from spaces.farm import wire
from spaces_workers.link.messages import Close, Forked
farm = socket.socket(fileno=int(sys.orig_argv[-1]))
data = wire.pack({lie}) if {lie} is not None else b"garbage"
farm.sendall(struct.pack("!I", len(data)) + data)
import time; time.sleep(600)
"""
    with pytest.raises(ScriptFailed, match="its process was ended"):
        nursery.connect(listening, spec_of(tmp_path, script))


def test_a_space_that_is_let_go_while_its_process_starts_has_none(listening: Path, tmp_path: Path) -> None:
    """It had one for good: a Space that became idle soon after its start was not seen again."""
    began = tmp_path / "began"
    nursery.prepare(listening, spec_of(tmp_path, f"import time\nopen({str(began)!r}, 'w').close()\ntime.sleep(600)\n"))
    wait_until(began.exists)
    path = roster.roster_path(tmp_path, tmp_path / "logs")
    assert roster.read(path)
    nursery.retire(listening, "digits")
    wait_until(lambda: not roster.read(path))
