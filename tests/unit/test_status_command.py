"""`zerofarm status` asks the `zerofarm up` that runs, which is quicker than its broker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
from spaces.farm.page_addresses import Page

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
    del newer["workers"][0]["uuid"]
    assert from_json(newer) == FARM


def test_the_status_is_what_zerofarm_up_tells_and_its_broker_s_client_is_not_imported(tmp_path: Path) -> None:
    with operated(tmp_path, {"done": asdict(FARM)}):
        shown = status(tmp_path, "--json")
        imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert json.loads(shown.stdout) == json.loads(json.dumps(asdict(FARM)))
    assert "spaces.farm.farm_status" in imported
    assert imported & {"redis", "msgpack", "asyncio", "ssl"} == set()


def test_where_zerofarm_up_tells_no_status_its_broker_is_asked(tmp_path: Path) -> None:
    with operated(tmp_path, {"fault": "zerofarm up does not know 'status'"}):
        shown = status(tmp_path)
    assert f"no farm runs in {tmp_path}" in shown.stderr


@contextmanager
def operated(state_dir: Path, answer: Mapping[str, Any]) -> Iterator[None]:
    """A control socket whose first request gets this answer."""

    def reply() -> None:
        connected, _ = listener.accept()
        with connected, connected.makefile("rb") as requests:
            assert json.loads(requests.readline())["action"] == "status"
            connected.sendall(told(answer))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state_dir / SOCKET))
        listener.listen()
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
