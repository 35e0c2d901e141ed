"""A server that has no descriptor left for a connection goes on serving."""

from __future__ import annotations

import os
import resource
import socket
from contextlib import closing
from pathlib import Path

import pytest

from spaces_workers.link import listener as listener_module
from spaces_workers.link.listener import accept, listen


def test_a_connection_for_which_no_descriptor_is_left_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error ended the gateway, the nursery and the fork server."""
    monkeypatch.setattr(listener_module, "PAUSE", 0.0, raising=False)
    with closing(listen(tmp_path / "s")) as listener, socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(tmp_path / "s"))
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(caller.fileno())
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
        try:
            assert accept(listener) is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        accepted = accept(listener)
        assert accepted is not None
        accepted.close()
