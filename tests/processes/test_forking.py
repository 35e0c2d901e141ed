"""Threads that a fork loses, of the Space and of Python's own pools: functions still find them working."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from spaces.errors import ChildCrashed, TimeLimitExceeded
from spaces.farm import log_files
from tests.harness import SPACES, Farm, farm
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def forking_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A worker, and the two Spaces that start threads."""
    with farm(tmp_path_factory.mktemp("farm")) as made:
        made.register("threads")
        made.register("pools")
        made.start_worker()
        yield made


def call(farm: Farm, space: str, function: str, *args: object) -> object:
    with farm.client(space) as client:
        return client.submit(space, function, *args).result(timeout=PATIENCE)


def log_of(farm: Farm, space: str) -> str:
    return log_files.of_workers(farm.state_dir, space).read_text()


def test_executors_pools_and_loops_that_worked_before_the_fork_work_after_it(forking_farm: Farm) -> None:
    """Each waited for its lost threads until the time limit."""
    assert call(forking_farm, "pools", "again") == ([55, 55, 55, 55, 42], [55, 55, 55, 55, 42])


def test_a_listener_of_logs_writes_in_a_child(forking_farm: Farm) -> None:
    assert call(forking_farm, "pools", "log", "a line") == "a line\n"


def test_a_space_with_a_thread_that_waits_for_work_has_children_that_are_no_forks(forking_farm: Farm) -> None:
    """A fork lacks the thread: the function waited for its answer until the time limit."""
    assert call(forking_farm, "threads", "double", 21) == 42
    assert "fresh_server" in str(call(forking_farm, "threads", "parents"))


def test_the_log_says_why_children_are_no_forks_and_where_to_look(forking_farm: Farm) -> None:
    call(forking_farm, "threads", "double", 21)
    log = log_of(forking_farm, "threads")
    waits = 1 + (SPACES / "threads" / "app.py").read_text().splitlines().index("        ANSWERED.put(ASKED.get() * 2)")
    assert f"lack the Space's 'doubler' (1 thread, waiting for work at app.py, line {waits})" in log
    assert "[spaces.threads]" in log


def test_another_child_is_made_ahead_of_the_next_task(forking_farm: Farm) -> None:
    """One that dies costs the next call no run of the script."""
    with pytest.raises(ChildCrashed, match="exited with code 3"):
        call(forking_farm, "threads", "leave")
    assert call(forking_farm, "threads", "double", 4) == 8


def test_an_operator_decides_whether_children_are_forks(own_farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = own_farm.folder / "farm.toml"
    rules.write_text("[spaces.faults]\nfork = false\n")
    monkeypatch.setenv("ZEROFARM_CONFIG", str(rules))
    own_farm.start_worker()
    assert call(own_farm, "faults", "add", 1, 2) == 3
    pid = call(own_farm, "faults", "pid")
    with pytest.raises(ChildCrashed, match="was killed by SIGSEGV"):
        call(own_farm, "faults", "crash")
    assert call(own_farm, "faults", "pid") != pid


KILLED_ONCE = """
import os, pathlib, signal
import spaces

once = pathlib.Path(__file__).with_name("once")
if os.environ["ZEROFARM_ROLE"] == "worker" and not once.exists():
    once.touch()
    os.kill(os.getpid(), signal.SIGKILL)


@spaces.GPU
def double(number):
    return 2 * number
"""


def test_a_child_that_is_killed_while_its_script_runs_blames_no_author(
    own_farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task failed as if the script had, and was not tried again."""
    rules, app = own_farm.folder / "farm.toml", own_farm.folder / "unlucky" / "app.py"
    rules.write_text("[spaces.unlucky]\nfork = false\n")
    monkeypatch.setenv("ZEROFARM_CONFIG", str(rules))
    app.parent.mkdir()
    app.write_text(KILLED_ONCE)
    own_farm.register("unlucky", app)
    own_farm.start_worker()
    assert call(own_farm, "unlucky", "double", 21) == 42
    assert app.with_name("once").exists()


def test_a_task_that_hangs_is_not_told_to_ask_for_more_time_and_its_log_says_where(forking_farm: Farm) -> None:
    with pytest.raises(TimeLimitExceeded, match=r"hung: for the last 2 s or more .* until its 4 s were over\. The log"):
        call(forking_farm, "threads", "wait_for_nothing")
    log = log_of(forking_farm, "threads")
    assert "threads.wait_for_nothing hung" in log
    assert "in wait_for_nothing" in log  # the stack


def test_a_task_that_waits_for_something_outside_has_not_hung(forking_farm: Farm) -> None:
    with pytest.raises(TimeLimitExceeded, match=r"it asked for 4 s. Raise @spaces.GPU"):
        call(forking_farm, "threads", "wait_for_the_clock")


def test_a_killed_server_of_fresh_children_is_replaced_and_warm_ones_go_on(forking_farm: Farm) -> None:
    pid = call(forking_farm, "threads", "pid")
    server = psutil.Process(psutil.Process(int(str(pid))).ppid())
    assert "fresh_server" in " ".join(server.cmdline())
    server.kill()
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    assert call(forking_farm, "threads", "pid") == pid
    with pytest.raises(ChildCrashed):
        call(forking_farm, "threads", "leave")
    assert call(forking_farm, "threads", "double", 5) == 10
