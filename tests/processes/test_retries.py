"""Tasks that could not begin, or that a worker gave back, run again; their authors and callers are not to blame."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import psutil
import pytest

from spaces.errors import ChildCrashed
from spaces.farm.queue.rules import Rules
from spaces.farm.task import State
from spaces.web.handle import TaskHandle
from spaces_workers.nursery import client as nursery
from tests.harness import Farm
from tests.processes.test_deaths import processes, running
from tests.waiting import PATIENCE, wait_until

#: A script that takes as long as the test wants, and notes each process that runs it.
SCRIPT = """
import os, time
from pathlib import Path
import spaces

with open(Path(__file__).with_name("pids"), "a") as pids:
    pids.write(f"{os.getpid()}\\n")
while not Path(__file__).with_name("go").exists():
    time.sleep(0.01)

@spaces.GPU
def add(a, b):
    return a + b
"""


@pytest.fixture
def slow(own_farm: Farm, tmp_path: Path) -> Path:
    """The folder of a Space whose script goes on once there is a file `go`."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "app.py").write_text(SCRIPT)
    own_farm.register("slow", folder / "app.py")
    own_farm.start_worker()
    return folder


def zygotes(folder: Path) -> list[int]:
    """The processes that have run the script so far."""
    note = folder / "pids"
    return [int(pid) for pid in note.read_text().splitlines()] if note.exists() else []


def begun(farm: Farm, handle: TaskHandle, folder: Path) -> int:
    """The zygote that a task waits for, once its worker waits too."""
    wait_until(lambda: running(farm, handle.id) and zygotes(folder))
    return zygotes(folder)[-1]


def kill_each(handle: TaskHandle, folder: Path, kill: Callable[[int], None], most: int) -> int:
    """Kill each zygote, at most so many, until the task has ended. Returns how many were killed."""
    for killed in range(most):
        wait_until(lambda killed=killed: handle.done or len(zygotes(folder)) > killed)  # type: ignore[misc]
        if handle.done:
            return killed
        kill(zygotes(folder)[killed])
    return most


def test_a_task_whose_zygote_is_killed_before_it_begins_is_tried_again(own_farm: Farm, slow: Path) -> None:
    """It ended as ScriptFailed, which blames the author."""
    with own_farm.client("slow") as client:
        handle = client.submit("slow", "add", 1, 2)
        begun(own_farm, handle, slow)
        assert kill_each(handle, slow, lambda pid: os.kill(pid, signal.SIGKILL), most=2) == 2
        (slow / "go").touch()
        assert handle.result(timeout=PATIENCE) == 3


def test_a_task_whose_nursery_is_killed_before_it_begins_is_tried_again(own_farm: Farm, slow: Path) -> None:
    """It ended as the crash of a process that could not be made."""
    with own_farm.client("slow") as client:
        handle = client.submit("slow", "add", 1, 2)
        begun(own_farm, handle, slow)
        for process in processes(own_farm, "spaces_workers.nursery.server"):
            process.kill()
        wait_until(lambda: len(zygotes(slow)) > 1)
        (slow / "go").touch()
        assert handle.result(timeout=PATIENCE) == 3


def test_a_task_whose_child_is_killed_before_it_reads_it_is_tried_again(own_farm: Farm) -> None:
    """It ended as a crash of the author's function, which never ran."""
    own_farm.start_worker()
    with own_farm.client() as client:
        warm = client.submit("faults", "pid").result(timeout=PATIENCE)
        os.kill(warm, signal.SIGSTOP)
        handle = client.submit("faults", "pid")
        wait_until(lambda: any("faults.pid" in str(info["busy"]) for info in own_farm.queue.leases.workers().values()))
        os.kill(warm, signal.SIGKILL)
        assert handle.result(timeout=PATIENCE) != warm


def test_a_task_that_cannot_begin_ends_after_its_attempts_and_blames_no_script(own_farm: Farm, slow: Path) -> None:
    with own_farm.client("slow") as client:
        handle = client.submit("slow", "add", 1, 2)
        begun(own_farm, handle, slow)
        # The first zygote is made for nobody; the task may not wait for it yet when it is killed.
        most = Rules().attempts + 2
        assert Rules().attempts <= kill_each(handle, slow, lambda pid: os.kill(pid, signal.SIGKILL), most) < most
        with pytest.raises(ChildCrashed, match="its process could not be made: its zygote was killed by SIGKILL"):
            handle.result(timeout=PATIENCE)
        assert handle.state is State.CRASHED


def test_a_task_that_is_cancelled_while_it_is_tried_again_never_runs(own_farm: Farm, slow: Path) -> None:
    with own_farm.client("slow") as client:
        handle = client.submit("slow", "add", 1, 2)
        os.kill(begun(own_farm, handle, slow), signal.SIGKILL)
        handle.cancel("changed my mind")
        wait_until(lambda: handle.done or len(zygotes(slow)) > 1)
        (slow / "go").touch()
        wait_until(lambda: handle.state is State.CANCELLED)


def test_a_script_that_kills_its_process_is_to_blame(own_farm: Farm, tmp_path: Path) -> None:
    folder = tmp_path / "leaving"
    folder.mkdir()
    (folder / "app.py").write_text("import os, spaces\n\n@spaces.GPU\ndef add(a, b): ...\n\nos._exit(3)\n")
    own_farm.register("leaving", folder / "app.py")
    own_farm.start_worker()
    with own_farm.client("leaving") as client, pytest.raises(Exception, match="script of Space 'leaving'") as caught:
        client.submit("leaving", "add", 1, 2).result(timeout=PATIENCE)
    assert "exited with code 3" in str(caught.value.__cause__)


def test_a_task_that_is_given_back_still_has_its_arguments(own_farm: Farm) -> None:
    """They were deleted with the lease of the first worker, so that the second one could not read them."""
    array = numpy.zeros(100_000)
    first = own_farm.start_worker("first")
    with own_farm.client(near=True) as client:
        handle = client.submit("faults", "nap_with", 2.0, array)
        wait_until(lambda: running(own_farm, handle.id))
        first.send_signal(signal.SIGQUIT)
        first.wait(PATIENCE)
        own_farm.start_worker("second")
        assert handle.result(timeout=PATIENCE) == array.nbytes


def test_a_nursery_that_is_killed_while_it_starts_is_started_again(tmp_path: Path) -> None:
    """Its worker waited 15 s for it, and then failed the task."""
    starter = ThreadPoolExecutor(1)
    starting = starter.submit(nursery.ensure, tmp_path / "run", tmp_path / "logs")
    victim = wait_until(lambda: [each for each in psutil.Process().children() if is_nursery(each)])
    victim[0].kill()
    process = starting.result(timeout=PATIENCE)
    assert process is not None
    assert process.pid != victim[0].pid
    process.terminate()
    process.wait(PATIENCE)
    starter.shutdown()


def is_nursery(process: psutil.Process) -> bool:
    try:
        return "spaces_workers.nursery.server" in process.cmdline()
    except psutil.NoSuchProcess:
        return False
