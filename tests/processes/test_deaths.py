"""What dies, and what happens then: workers, zygotes, the nursery, the broker, children that are idle."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from spaces.errors import ScriptFailed
from spaces.farm.task import State
from spaces_workers.nursery import roster
from spaces_workers.worker.main import DEVICE_LOST
from tests.harness import SPACES, Farm
from tests.waiting import PATIENCE, wait_until


def running(farm: Farm, task: str) -> bool:
    state = farm.queue.state(task)
    return state is not None and state.state is State.RUNNING


def processes(farm: Farm, module: str) -> list[psutil.Process]:
    """The farm's processes that run this module; children of a zygote look like it."""
    found = []
    for process in psutil.process_iter():
        try:
            if module in process.cmdline() and process.environ().get("ZEROFARM_RUN_DIR") == str(farm.run_dir):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_task_whose_worker_is_killed_runs_elsewhere_once_its_lease_is_over(own_farm: Farm, tmp_path: Path) -> None:
    first = own_farm.start_worker("first")
    with own_farm.client() as client:
        handle = client.submit("faults", "reversed_when", str(tmp_path / "end"), b"ab")
        wait_until(lambda: running(own_farm, handle.id))
        own_farm.start_worker("second")
        client.submit("faults", "pid").result(timeout=PATIENCE)  # its zygote is made
        first.kill()
        # The lease lasts 5 s, and the second worker looks each second; a machine that is busy needs some more.
        wait_until(lambda: (state := own_farm.queue.state(handle.id)) and state.attempt == 2, patience=30)
        (tmp_path / "end").touch()
        assert handle.result(timeout=PATIENCE) == b"ba"


def test_children_die_with_a_killed_worker_even_in_a_loop_in_c(own_farm: Farm) -> None:
    worker = own_farm.start_worker()
    with own_farm.client() as client:
        own = client.submit("faults", "pid").result(timeout=PATIENCE)
        handle = client.submit("faults", "loop_in_c", duration=600)
        wait_until(lambda: running(own_farm, handle.id))
        assert psutil.pid_exists(own)
        worker.kill()
        wait_until(lambda: not psutil.pid_exists(own))


def test_a_killed_zygote_is_made_again_and_its_warm_child_goes_on(own_farm: Farm) -> None:
    own_farm.start_worker()
    with own_farm.client() as client:
        warm = client.submit("faults", "pid").result(timeout=PATIENCE)
        zygote = psutil.Process(warm).parent()
        assert zygote is not None
        zygote.kill()
        assert client.submit("faults", "pid").result(timeout=PATIENCE) == warm
        os.kill(warm, signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(warm))
        assert client.submit("faults", "pid").result(timeout=PATIENCE) != warm


def test_a_killed_nursery_is_started_again(own_farm: Farm) -> None:
    own_farm.start_worker()
    with own_farm.client() as client:
        warm = client.submit("faults", "pid").result(timeout=PATIENCE)
        for process in processes(own_farm, "spaces_workers.nursery.server"):
            process.kill()
        os.kill(warm, signal.SIGKILL)
        assert client.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3


def test_a_nursery_that_cannot_write_its_list_of_zygotes_makes_them_all_the_same(own_farm: Farm) -> None:
    """It ended, as with full shared memory."""
    roster.roster_path(own_farm.run_dir, own_farm.state_dir / "logs").mkdir(parents=True)
    own_farm.start_worker()
    with own_farm.client() as client:
        assert client.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3


def test_a_broker_that_is_killed_and_comes_back_finds_tasks_and_workers_as_they_were(own_farm: Farm) -> None:
    own_farm.start_worker()
    with own_farm.client() as client:
        handle = client.submit("faults", "nap", 3.0)
        waiting = client.submit("faults", "add", 1, 2)
        wait_until(lambda: running(own_farm, handle.id))
        own_farm.restart_broker()
        assert isinstance(handle.result(timeout=PATIENCE), int)
        assert waiting.result(timeout=PATIENCE) == 3
        state = own_farm.queue.state(handle.id)
        assert state is not None
        assert state.attempt == 1


def test_a_warm_shutdown_lets_the_running_task_end(own_farm: Farm) -> None:
    worker = own_farm.start_worker()
    with own_farm.client() as client:
        handle = client.submit("faults", "count", 2, 1.5)
        values = iter(handle)
        assert next(values) == 0  # a worker whose claim is on its way would give the task back
        worker.terminate()
        assert [*values] == [1]
        assert handle.result(timeout=PATIENCE) == "counted"
        assert worker.wait(PATIENCE) == 0


def test_a_cold_shutdown_gives_the_task_to_another_worker(own_farm: Farm) -> None:
    first = own_farm.start_worker("first")
    with own_farm.client() as client:
        handle = client.submit("faults", "nap", 2.0)
        wait_until(lambda: running(own_farm, handle.id))
        first.send_signal(signal.SIGQUIT)
        first.wait(PATIENCE)
        own_farm.start_worker("second")
        handle.result(timeout=PATIENCE)


def test_a_task_fails_with_the_traceback_of_a_script_that_fails(own_farm: Farm, tmp_path: Path) -> None:
    folder = tmp_path / "flawed"
    folder.mkdir()
    (folder / "app.py").write_text((SPACES / "faults" / "app.py").read_text() + "\nraise RuntimeError('no weights')\n")
    own_farm.register("flawed", folder / "app.py")
    own_farm.start_worker("first")
    with own_farm.client("flawed") as client, pytest.raises(ScriptFailed, match="script of Space 'flawed'") as caught:
        client.submit("flawed", "add", 1, 2).result(timeout=PATIENCE)
    assert "RuntimeError: no weights" in str(caught.value.__cause__)
    log = (own_farm.folder / "first.log").read_text()
    assert "its log has the traceback: RuntimeError: no weights" in log


def test_a_changed_script_is_run_anew_and_the_old_one_is_let_go(own_farm: Farm, tmp_path: Path) -> None:
    folder = tmp_path / "changing"
    folder.mkdir()
    script = folder / "app.py"
    script.write_text("import spaces\n\n@spaces.GPU\ndef version():\n    return 1\n")
    own_farm.register("changing", script)
    own_farm.start_worker()
    with own_farm.client("changing") as client:
        assert client.submit("changing", "version").result(timeout=PATIENCE) == 1
        script.write_text("import spaces\n\n@spaces.GPU\ndef version():\n    return 2\n")
        own_farm.register("changing", script)
        assert client.submit("changing", "version").result(timeout=PATIENCE) == 2


def test_a_worker_on_a_host_without_the_files_unpacks_the_archive(own_farm: Farm, tmp_path: Path) -> None:
    folder = tmp_path / "travelling"
    folder.mkdir()
    (folder / "word.txt").write_text("hello")
    (folder / "app.py").write_text(
        "import spaces\n\n@spaces.GPU\ndef read():\n    return open('word.txt').read(), __file__\n"
    )
    own_farm.register("travelling", folder / "app.py")
    (folder / "app.py").unlink()
    own_farm.start_worker("elsewhere", host="another-host")
    with own_farm.client("travelling") as client:
        word, path = client.submit("travelling", "read").result(timeout=PATIENCE)
    assert word == "hello"
    assert str(folder) not in path


def test_a_worker_that_loses_its_gpu_leaves_its_task_to_others(own_farm: Farm) -> None:
    """It would fail all waiting tasks within milliseconds, before a working worker could take them."""
    own_farm.register("hungry", SPACES / "hungry" / "app.py")
    broken = own_farm.start_worker("broken", gpu="broken")
    with own_farm.client("hungry") as client:
        handle = client.submit("hungry", "work")
        assert broken.wait(PATIENCE) == DEVICE_LOST
        assert handle.state is State.QUEUED
        own_farm.start_worker("sound")
        assert handle.result(timeout=PATIENCE)[0] == 2
    assert "it has fallen off the bus. This worker exits" in (own_farm.folder / "broken.log").read_text()


def test_a_worker_goes_on_after_its_broker_was_read_only(own_farm: Farm) -> None:
    """As after a failover. The worker left at the first claim that was refused, and killed the task that it ran."""
    worker = own_farm.start_worker()
    log = own_farm.folder / "cpu0.log"
    end = own_farm.folder / "end"
    with own_farm.client() as client:
        running_child = client.submit("faults", "pid").result(timeout=PATIENCE)
        task = client.submit("faults", "reversed_when", str(end), b"ab")
        wait_until(lambda: running(own_farm, task.id))
        own_farm.redis.replicaof("127.0.0.1", 1)
        wait_until(lambda: "heartbeat of worker" in log.read_text())
        own_farm.redis.replicaof("NO", "ONE")
        end.touch()
        assert task.result(timeout=PATIENCE) == b"ba"
        own_farm.redis.replicaof("127.0.0.1", 1)
        wait_until(lambda: "the broker gives no tasks now" in log.read_text())
        own_farm.redis.replicaof("NO", "ONE")
        assert client.submit("faults", "pid").result(timeout=PATIENCE) == running_child
    assert worker.poll() is None
    assert log.read_text().count("the broker gives no tasks now") == 1
