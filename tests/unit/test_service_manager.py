"""What systemd is told of a service with `Type=notify`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces_workers.link.service_manager import VARIABLE, ServiceManager
from spaces_workers.up.reports import Joined, Note, Notifying, Ready, Report, Stopping
from tests.waiting import PATIENCE

READY = Ready(home="http://127.0.0.1:7860", flower=None, flower_login_file=None, broker="", workers=[], spaces={})


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket of a service manager, which the environment names."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@zerofarm-test-{os.getpid()}"
    monkeypatch.setenv(VARIABLE, name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        made.settimeout(PATIENCE)
        yield made


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (READY, "READY=1\nSTATUS=the farm is ready at http://127.0.0.1:7860"),
        (Joined(["worker gpu0", "worker gpu1"]), "READY=1\nSTATUS=worker gpu0, worker gpu1 ready"),
        (Stopping(), "STOPPING=1"),
    ],
)
def test_systemd_is_told_what_an_operator_is_told(manager: socket.socket, report: Report, told: str) -> None:
    seen: list[Report] = []
    reporter = Notifying(seen.append)
    assert VARIABLE not in os.environ, "a process that the service starts would speak for it"
    reporter(Note("systemd does not hear this"))
    reporter(report)
    assert seen[-1] is report
    assert manager.recv(4096).decode() == told


def test_without_a_service_manager_nothing_is_told_or_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    ServiceManager().ready("it works")
    assert caplog.text == ""


def test_a_service_manager_that_is_gone_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    ServiceManager().stopping()
    assert "was not told STOPPING=1" in caplog.text
