"""An operator has a Space loaded before anybody calls it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from spaces.errors import RefusedError
from spaces.farm.celery.celery_app import make_celery
from spaces.farm.links import loading
from spaces.farm.page_addresses import Pages
from spaces.farm.queue.control.audit import Audit
from spaces.farm.queue.control.controls import ControlFault, Controls
from spaces.farm.queue.status import StatusReader
from spaces.farm.task import State, Task
from tests.harness import SPACES, Farm
from tests.waiting import PATIENCE, wait_until

BROKEN = """
import spaces

@spaces.GPU
def draw():
    pass

raise RuntimeError("no such weights")
"""


@pytest.fixture
def fresh(own_farm: Farm) -> Farm:
    """A farm whose worker has no child yet."""
    own_farm.start_worker()
    return own_farm


def load(farm: Farm, space: str) -> str:
    return loading.outcome(farm.queue, begun(farm, space), 60)


def begun(farm: Farm, space: str) -> Task:
    with make_celery(farm.broker.url) as app:
        return loading.load(farm.queue, app, space, "ada on here")


def residents(farm: Farm) -> set[str]:
    [worker] = StatusReader(farm.queue).read(Pages()).workers
    return {each.space for each in worker.residents}


def test_a_space_is_on_a_worker_before_its_first_call(fresh: Farm) -> None:
    assert load(fresh, "faults") == "faults is loaded on cpu0@test-host"
    wait_until(lambda: residents(fresh) == {"faults"})
    with pytest.raises(ControlFault, match="faults is on cpu0@test-host already"):
        load(fresh, "faults")
    [action] = Audit(fresh.redis).latest(1)
    assert (action.by, action.verb, action.target) == ("ada on here", "load", "faults")
    before = psutil.pids()
    with fresh.client() as client:
        assert client.submit("faults", "pid").result(timeout=PATIENCE) in before, "its child was made anew"


def test_who_loads_a_space_is_told_that_no_worker_is_idle(fresh: Farm) -> None:
    fresh.register("plain", SPACES / "plain" / "app.py")
    with fresh.client() as client, client.submit("faults", "nap", 600) as nap:
        wait_until(lambda: nap.state is State.RUNNING)
        busy = "no worker is idle that could load plain, of size 'large': cpu0@test-host runs faults.nap"
        with pytest.raises(ControlFault, match=busy):
            load(fresh, "plain")
    controls = Controls(fresh.queue, "ada")
    controls.drain("cpu0@test-host")
    wait_until(lambda: nap.state is State.CANCELLED)
    with pytest.raises(ControlFault, match="cpu0@test-host is drained"):
        load(fresh, "plain")
    controls.undrain("cpu0@test-host")
    controls.pause("plain")
    with pytest.raises(ControlFault, match="plain is paused: `zerofarm resume plain` first"):
        load(fresh, "plain")


def test_a_space_that_cannot_be_loaded_says_why(fresh: Farm, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(BROKEN)
    fresh.register("broken", tmp_path / "app.py")
    with pytest.raises(ControlFault, match=r"^broken is not loaded: .* RuntimeError: no such weights$"):
        load(fresh, "broken")
    with pytest.raises(RefusedError, match="the farm knows no Space 'nobody'"):
        load(fresh, "nobody")
    with fresh.client() as client:
        assert client.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
