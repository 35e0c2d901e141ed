"""`zerofarm status` asks the `zerofarm up` that runs, which is quicker than its broker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from spaces.farm.farm_status import (
    FarmStatus,
    QueueStatus,
    Refusals,
    ResidentStatus,
    SpaceStatus,
    SpaceTerms,
    TaskStatus,
    WorkerStatus,
    from_json,
)
from spaces.farm.links.operator_line import SOCKET, told
from spaces.farm.page_addresses import Page, Pages, pages_path
from spaces_workers.commands import status as status_command
from spaces_workers.commands.options import NoBroker

RESIDENT = ResidentStatus("digits", "asleep", 10, 20)
WORKER = WorkerStatus("gpu0@host", "host", 7, "H200", ("large",), 100, 10, ("digits.read",), (), 3, (RESIDENT,), True)
TASK = TaskStatus("00ff", "digits.read", "digits", "running", "gpu0@host", None, 1.0, 2.0, None, 60.0, "large")
FARM = FarmStatus(
    now=5.0,
    home="http://127.0.0.1:7860",
    flower="",
    workers=(WORKER,),
    queues=(QueueStatus("large", 2, None),),
    refusals=(Refusals("space_queue", 4),),
    spaces=(
        SpaceStatus("digits", ("read",), 2, 1, 3.5, Page("http://127.0.0.1:7861", "serving"), terms=SpaceTerms(True)),
        SpaceStatus("names", (), 0, 0, None, None, waiting_by_size={"large": 0}),
    ),
    tasks=(TASK,),
    separation="users",
)


def test_a_status_is_the_same_after_json() -> None:
    assert from_json(json.loads(json.dumps(asdict(FARM)))) == FARM


def test_fields_of_a_newer_status_are_ignored_and_those_of_an_older_one_may_be_missing() -> None:
    newer: dict[str, Any] = json.loads(json.dumps(asdict(FARM) | {"weather": "fine"}))  # Any: JSON
    newer["workers"][0]["fans"] = 2
    for part, name in (("workers", "uuid"), ("spaces", "terms")):
        del newer[part][-1][name]
    assert from_json(newer) == FARM


def test_the_status_is_what_zerofarm_up_tells_and_its_broker_s_client_is_not_imported(tmp_path: Path) -> None:
    with operated(tmp_path, told({"done": asdict(FARM)})):
        shown = status(tmp_path, "--json")
        imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert json.loads(shown.stdout) == json.loads(json.dumps(asdict(FARM)))
    assert "spaces.farm.farm_status" in imported
    assert imported & {"redis", "msgpack", "asyncio", "ssl"} == set()


@pytest.mark.parametrize(
    "answer",
    [
        told({"fault": "zerofarm up does not know 'status'"}),
        told({"done": asdict(FARM) | {"workers": [{"name": "gpu0@host"}]}}),
        told({"done": {"weather": "fine"}}),
        told({"weather": "fine"}),
        b"7\n",
        b"no JSON\n",
        b"",
    ],
)
def test_where_zerofarm_up_tells_no_status_its_broker_is_asked(tmp_path: Path, answer: bytes, in_no_farm: None) -> None:
    with operated(tmp_path, answer), pytest.raises(NoBroker):
        status_command._status(None, tmp_path)


def test_a_zerofarm_up_that_is_stopped_is_not_waited_for(
    tmp_path: Path, in_no_farm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel accepts for it, as long as its backlog has room."""
    monkeypatch.setattr(status_command, "PATIENCE", 0.1)
    with listening(tmp_path), pytest.raises(NoBroker):
        status_command._status(None, tmp_path)


def test_a_zerofarm_up_that_does_not_say_that_it_tells_its_status_is_not_asked(
    tmp_path: Path, in_no_farm: None
) -> None:
    """One of an earlier version records each request that it does not know."""
    with listening(tmp_path) as listener:
        Pages().write(pages_path(tmp_path))
        with pytest.raises(NoBroker):
            status_command._status(None, tmp_path)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.fixture
def in_no_farm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("ZEROFARM", "REDIS_URL"))]:
        monkeypatch.delenv(name)


@contextmanager
def listening(state_dir: Path) -> Iterator[socket.socket]:
    """The control socket of a farm that says that it tells its status."""
    Pages(tells_status=True).write(pages_path(state_dir))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state_dir / SOCKET))
        listener.listen()
        yield listener


@contextmanager
def operated(state_dir: Path, answer: bytes) -> Iterator[None]:
    """A control socket whose first request gets this answer."""

    def reply() -> None:
        connected, _ = listener.accept()
        with connected, connected.makefile("rb") as requests:
            assert json.loads(requests.readline())["action"] == "status"
            connected.sendall(answer)

    with listening(state_dir) as listener:
        thread = threading.Thread(target=reply)
        thread.start()
        yield
        thread.join()


def status(state_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """With the modules that it imports on its standard error."""
    named = ("ZEROFARM", "REDIS_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(named)}
    command = [sys.executable, "-X", "importtime", "-m", "spaces_workers.cli", "status", "--state-dir", str(state_dir)]
    return subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)
