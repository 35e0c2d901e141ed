"""A farm of a hostile Space and its victim, at one level of separation."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from spaces.farm.connection import connect
from spaces.farm.page_addresses import Pages
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.status import StatusReader
from spaces_workers.gateway.place import address_of
from spaces_workers.sandbox.description import Level
from tests.end_to_end.test_up import Up
from tests.harness import SPACES
from tests.waiting import wait_until

#: Where the Space makes its attempts: names of its page's endpoints.
PLACES = ("import_of_page", "import_of_zygote", "page", "gpu")

_VICTIM = """
import os
from pathlib import Path
Path("/tmp/secret-of-the-victim").write_text("secret")
exec(Path("echo.py").read_text())
"""

#: Small enough for attempts to be quick; the Space itself takes less.
_SETTINGS = """
[isolation]
level = "{level}"
memory = 0.1
processes = 400
"""

Outcomes = dict[str, list[Any]]  # Any: whether it was refused, and words


def attempts() -> tuple[list[str], list[str], list[str]]:
    """The names of all that the hostile Space tries: on others, to take too much, and without any hope."""
    specification = importlib.util.spec_from_file_location("attempts", SPACES / "hostile" / "attempts.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return list(module.ATTEMPTS), list(module.LIMITS), list(module.HOPELESS)


class HostileFarm:
    """The farm, with all that the hostile Space may look for."""

    def __init__(self, folder: Path, level: Level, up: Up) -> None:
        self.level = level
        self.up = up
        self._folder = folder
        up.ready()
        assert not up.told("failed"), up.told("failed")
        self._client = up.client("hostile")

    def outcomes(self, place: str) -> Outcomes:
        """What became of the attempts in a place."""
        given = [json.dumps(self._targets)] if place in ("page", "gpu") else []
        found: Outcomes = json.loads(self._client.predict(*given, api_name=f"/{place}"))
        return found

    def variables(self, place: str) -> set[str]:
        """The names of the variables that the Space's page has, or its `gpu`, now or at its start."""
        found: list[str] = json.loads(self._client.predict(api_name=f"/variables_of_{place}"))
        return {*found}

    @cached_property
    def limits(self) -> Outcomes:
        """What became of the attempts to take too much, from which the page itself may suffer too."""
        told = self._folder / "hostile" / "limits.json"
        self._client.submit(api_name="/limits")
        wait_until(told.exists)
        found: Outcomes = json.loads(told.read_text())
        return found

    @cached_property
    def _targets(self) -> dict[str, Any]:  # Any: JSON
        run_dir = self._folder / "run"
        sockets = [str(path) for path in run_dir.glob("*.sock")]
        assert sockets
        moving = {"sockets": sockets, "pid": self.up.process.pid, "task_of_victim": self._task_of_victim}
        return _static_targets(self._folder) | moving

    @cached_property
    def _task_of_victim(self) -> str:
        """A task that the other Space has had."""
        self.up.client("victim").predict("hello", api_name="/echo")
        with connect((self.up.state_dir / "broker.url").read_text()) as redis:
            queue = Queue(redis)
            found = StatusReader(queue).read(Pages()).tasks
        return next(task.id for task in found if task.space == "victim")

    def close(self) -> None:
        self._client.close()


@contextmanager
def hostile_farm(folder: Path, level: Level) -> Iterator[HostileFarm]:
    """A farm in an empty folder."""
    shutil.copytree(SPACES / "hostile", folder / "hostile", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "victim").mkdir()
    shutil.copy(SPACES / "echo" / "app.py", folder / "victim" / "echo.py")
    (folder / "victim" / "app.py").write_text(_VICTIM)
    (folder / "state").mkdir(mode=0o700)
    (folder / "state" / "farm.toml").write_text(_SETTINGS.format(level=level))
    targets = _static_targets(folder)
    for made in (folder / "home", folder / "run", folder / "run" / "blobs"):
        made.mkdir(mode=0o700)
    for path in (targets["temporary"], targets["shared"], targets["payload"], folder / "home" / "secret"):
        Path(path).write_text("secret")
        Path(path).chmod(0o600)
    (folder / "hostile" / "targets.json").write_text(json.dumps(targets))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", targets["home"])
        up = Up(folder, str(folder / "victim"), str(folder / "hostile"), "--no-flower")
    try:
        farm = HostileFarm(folder, level, up)
        yield farm
        farm.close()
    finally:
        up.stop()
        Path(targets["shared"]).unlink()
    assert up.left() == []


def _static_targets(folder: Path) -> dict[str, str]:
    return {
        "state_dir": str(folder / "state"),
        "run_dir": str(folder / "run"),
        "victim": str(folder / "victim"),
        "home": str(folder / "home"),
        "temporary": str(folder / "secret"),
        "shared": f"/dev/shm/{folder.parent.name}-{folder.name}",
        "payload": str(folder / "run" / "blobs" / ("0" * 32)),
        "packages": sysconfig.get_path("purelib"),
        "broker": str(folder / "state" / "broker" / "broker.sock"),
        "gate": address_of(folder / "run", folder / "state", "hostile"),
        "gate_of_victim": address_of(folder / "run", folder / "state", "victim"),
    }
