"""Flower beside a real farm: its pages, its actions and its login."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from flower.events import EventsState

import spaces
from spaces.errors import SpacesError, TaskCancelled
from spaces.farm.celery.celery_app import make_celery
from spaces.farm.events import Lost
from spaces.farm.size import Size
from spaces.farm.task import State
from spaces.web.handle import TaskHandle
from spaces_workers.flower.ends import Ends
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until

LOGIN = "operator:a-password"
NODE = "cpu0@test-host"


@dataclass(frozen=True, slots=True)
class Flower:
    """A running Flower."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def ask(self, path: str, login: str = LOGIN, method: str = "GET") -> tuple[int, str]:
        """Status and text of an answer."""
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        if login:
            request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def read(self, path: str) -> Any:  # Any: JSON
        status, text = self.ask(path)
        assert status == 200, text
        return json.loads(text)

    def tasks(self) -> dict[str, dict[str, Any]]:  # Any: Flower's tasks
        return dict(self.read("/api/tasks"))

    def task_in(self, state: str, handle: TaskHandle) -> dict[str, Any]:
        """The task as Flower shows it, once it is in this state."""

        def arrived() -> dict[str, Any] | None:
            shown = self.tasks().get(handle.id)
            return shown if shown and shown["state"] == state else None

        return wait_until(arrived) or {}

    def revoke(self, handle: TaskHandle, **arguments: str) -> tuple[int, str]:
        return self.ask(f"/api/task/revoke/{handle.id}?{urllib.parse.urlencode(arguments)}", method="POST")

    def waiting(self) -> dict[str, int]:
        return {row["name"]: row["messages"] for row in self.read("/api/queues/length")["active_queues"]}


@contextmanager
def flower_of(farm: Farm, folder: Path, login: str = LOGIN) -> Iterator[Flower]:
    """Flower on a free port; a warning of its own is an error, and it must stop silently."""
    environment = os.environ | {"ZEROFARM_URL": farm.broker.url_of("flower"), "FLOWER_BASIC_AUTH": login}
    command = [sys.executable, "-W", "error", "-m", "spaces_workers.flower", "--port", "0"]
    log = folder / "flower.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            yield Flower(_read_url(process.stdout), process, log)
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0, log.read_text()


def _read_url(output: IO[str] | None) -> str:
    assert output is not None
    return output.readline().strip().removeprefix("Flower answers at ")


@pytest.fixture(scope="module")
def flower(shared_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    with flower_of(shared_farm, tmp_path_factory.mktemp("flower")) as flower:
        wait_until(lambda: NODE in flower.read("/api/workers?refresh=1"))
        yield flower


@pytest.fixture
def running(client: spaces.Farm) -> Iterator[TaskHandle]:
    """A task that keeps the only worker busy until it is stopped."""
    with client.submit("faults", "nap", 600.0, duration=600) as handle:
        wait_until(lambda: handle.state is State.RUNNING)
        yield handle
    wait_until(lambda: handle.done)


def child_of(flower: Flower) -> int:
    """The process that runs a task now."""

    def found() -> list[int]:
        return list(flower.read(f"/api/workers?refresh=1&workername={NODE}")[NODE]["stats"]["pool"]["processes"])

    return int(wait_until(found)[0])


def test_a_task_is_shown_by_the_names_of_its_space_and_function(flower: Flower, client: spaces.Farm) -> None:
    handle = client.submit("faults", "add", 1, 2)
    handle.result(timeout=PATIENCE)
    shown = flower.task_in("SUCCESS", handle)
    assert (shown["name"], shown["args"], shown["kwargs"]) == ("faults.add", "1, 2", "")
    assert shown["worker"] == NODE


def row_of(flower: Flower, handle: TaskHandle) -> dict[str, Any]:
    """The task's row in the list of tasks, as the page asks for it."""
    order = "draw=1&start=0&length=100&order[0][column]=0&order[0][dir]=desc&columns[0][data]=received"
    rows = flower.read(f"/tasks/datatable?{order}")["data"]
    return next((row for row in rows if row["uuid"] == handle.id), {})


def test_the_list_of_tasks_has_what_only_the_farm_knows(
    flower: Flower, client: spaces.Farm, running: TaskHandle
) -> None:
    waiting = client.submit("faults", "add", 1, 2)
    wait_until(lambda: row_of(flower, waiting).get("rank"))
    waiting.cancel()
    assert wait_until(lambda: row_of(flower, waiting).get("by"))
    running.cancel()
    done = client.submit("faults", "add", 1, 2)
    done.result(timeout=PATIENCE)
    assert str(wait_until(lambda: row_of(flower, done).get("held"))).endswith(" s")
    assert row_of(flower, done)["start"].startswith(("warm", "cold"))
    for column in ("Held", "Start", "Rank", "Visitor", "Cancelled by"):
        assert f">{column}</th>" in flower.ask("/tasks")[1]


def test_the_list_of_tasks_can_be_filtered_for_those_that_wait_or_were_cancelled(flower: Flower) -> None:
    page = flower.ask("/tasks")[1]
    assert 'data-task-state="PENDING"' in page
    assert 'data-task-state="REVOKED"' in page


def test_long_arguments_are_shown_short(flower: Flower, client: spaces.Farm) -> None:
    handle = client.submit("faults", "echo", "a cat " * 1000)
    handle.result(timeout=PATIENCE)
    assert len(flower.task_in("SUCCESS", handle)["args"]) <= 120


def test_a_waiting_task_is_shown_and_counted(flower: Flower, client: spaces.Farm, running: TaskHandle) -> None:
    wait_until(lambda: flower.waiting() == {"zerofarm.large": 0, "zerofarm.xlarge": 0})
    with client.submit("faults", "add", 1, 2) as handle:
        shown = flower.task_in("PENDING", handle)
        assert (shown["name"], shown["args"]) == ("faults.add", "1, 2")
        wait_until(lambda: flower.waiting() == {"zerofarm.large": 1, "zerofarm.xlarge": 0})
        status, page = flower.ask("/broker")
        assert status == 200
        assert "zerofarm.large" in page


def test_the_list_of_tasks_begins_with_what_waits(flower: Flower, client: spaces.Farm, running: TaskHandle) -> None:
    """Flower sorts by the time at which a worker received a task, so that those that wait were at the end."""
    with client.submit("faults", "add", 1, 2) as handle:
        flower.task_in("PENDING", handle)
        assert next(iter(flower.read("/api/tasks?sort_by=-received"))) == handle.id


def test_the_pool_tab_says_what_the_worker_does(flower: Flower, running: TaskHandle) -> None:
    child = child_of(flower)
    status, page = flower.ask(f"/worker/{NODE}")
    assert status == 200
    for shown in ("CPU stand", "Busy", "Children", "Done", f"faults.nap (pid {child})"):
        assert shown in page


def test_terminating_a_task_kills_its_child_and_tells_its_caller(flower: Flower, running: TaskHandle) -> None:
    child = child_of(flower)
    assert flower.revoke(running, terminate="true")[0] == 200
    with pytest.raises(TaskCancelled, match=r"faults.nap was cancelled: revoked by an operator"):
        running.result(timeout=PATIENCE)
    wait_until(lambda: not psutil.pid_exists(child))
    assert flower.task_in("REVOKED", running)["name"] == "faults.nap"


def test_a_running_task_is_not_stopped_by_less_than_terminate(flower: Flower, running: TaskHandle) -> None:
    assert flower.revoke(running) == (409, f"'{running.id}' is running: pass terminate=true to stop it")
    assert running.state is State.RUNNING


def test_celerys_own_terminate_stops_a_task_too(shared_farm: Farm, flower: Flower, running: TaskHandle) -> None:
    child = child_of(flower)
    with make_celery(shared_farm.broker.url) as celery:
        celery.control.revoke(running.id, terminate=True)
        with pytest.raises(TaskCancelled, match="revoked"):
            running.result(timeout=PATIENCE)
    wait_until(lambda: not psutil.pid_exists(child))
    flower.task_in("REVOKED", running)


def test_a_waiting_task_that_is_revoked_ends_at_once(flower: Flower, client: spaces.Farm, running: TaskHandle) -> None:
    """Celery's own way leaves it in the queue until a worker gets to it, and is forgotten when workers restart."""
    handle = client.submit("faults", "add", 1, 2)
    flower.task_in("PENDING", handle)
    assert flower.revoke(handle)[0] == 200
    with pytest.raises(TaskCancelled, match=r"faults.add was cancelled: revoked by an operator"):
        handle.result(timeout=PATIENCE)
    assert running.state is State.RUNNING
    flower.task_in("REVOKED", handle)
    assert flower.revoke(handle)[1].endswith('it had ended before"}')


def test_an_unknown_task_cannot_be_revoked(flower: Flower) -> None:
    assert flower.ask("/api/task/revoke/nobody", method="POST") == (404, "Unknown task 'nobody'")


def test_a_waiting_task_whose_caller_left_does_not_wait_for_ever(
    flower: Flower, client: spaces.Farm, running: TaskHandle
) -> None:
    """No worker ever had it, so none reports its end to Flower."""
    with client.submit("faults", "add", 1, 2) as handle:
        flower.task_in("PENDING", handle)
    assert "worker" not in flower.task_in("REVOKED", handle)


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        ("fail", "ValueError: no such prompt"),
        ("leave", "ChildCrashed: its process exited with code 3"),
        ("loop_in_c", "TimeLimitExceeded: stopped after 2 s, it asked for 2 s"),
    ],
)
def test_a_failure_is_told_in_one_line(flower: Flower, client: spaces.Farm, function: str, shown: str) -> None:
    handle = client.submit("faults", function)
    with pytest.raises((SpacesError, ValueError)):
        handle.result(timeout=PATIENCE)
    assert flower.task_in("FAILURE", handle)["exception"] == shown


def test_the_traceback_is_the_authors(flower: Flower, client: spaces.Farm) -> None:
    handle = client.submit("faults", "fail")
    with pytest.raises(ValueError, match="no such prompt"):
        handle.result(timeout=PATIENCE)
    traceback = flower.task_in("FAILURE", handle)["traceback"]
    assert "in fail" in traceback
    assert "spaces_workers" not in traceback


@pytest.mark.parametrize("path", ["/", "/tasks", "/broker", "/metrics", "/api/tasks", "/api/queues/length"])
def test_nothing_is_shown_without_the_password(flower: Flower, path: str) -> None:
    assert flower.ask(path, login="")[0] == 401
    assert flower.ask(path, login="operator:guess")[0] == 401
    assert flower.ask(path)[0] == 200


def test_nothing_is_stopped_without_the_password(flower: Flower, running: TaskHandle) -> None:
    path = f"/api/task/revoke/{running.id}?terminate=true"
    assert flower.ask(path, login="", method="POST")[0] == 401
    assert running.state is State.RUNNING


def test_a_health_check_needs_no_password_and_learns_nothing(flower: Flower) -> None:
    assert flower.ask("/healthcheck", login="") == (200, "OK")


def test_it_answers_on_this_host_only(flower: Flower) -> None:
    listening = [each for each in psutil.Process(flower.process.pid).net_connections() if each.status == "LISTEN"]
    assert [each.laddr.ip for each in listening] == ["127.0.0.1"]


@pytest.mark.parametrize("path", ["/api/task/async-apply/zerofarm.run", f"/api/worker/pool/grow/{NODE}"])
def test_what_a_farm_does_not_do_is_refused_in_words(flower: Flower, path: str) -> None:
    status, text = flower.ask(path, method="POST")
    assert status == 403
    assert "spaces.Farm" in text or "start or stop workers" in text


def test_it_logs_nothing_while_all_is_well(flower: Flower) -> None:
    assert flower.log.read_text() == ""


def test_a_password_is_made_where_none_is_given(shared_farm: Farm, tmp_path: Path) -> None:
    with flower_of(shared_farm, tmp_path, login="") as flower:
        assert flower.process.stdout is not None
        made = flower.process.stdout.readline().removeprefix("Its login is ").partition(";")[0]
        assert flower.ask("/tasks", login="")[0] == 401
        assert flower.ask("/tasks", login=made)[0] == 200
        assert made.partition(":")[2] not in " ".join(psutil.Process(flower.process.pid).cmdline())


@pytest.mark.parametrize(
    ("url", "login", "said"),
    [
        ("redis://127.0.0.1:1/0", "only-a-password", "FLOWER_BASIC_AUTH must be user:password"),
        ("amqp://host", LOGIN, "broker URL must begin with one of redis://"),
    ],
)
def test_it_says_why_it_cannot_start(url: str, login: str, said: str) -> None:
    environment = os.environ | {"ZEROFARM_URL": url, "FLOWER_BASIC_AUTH": login}
    command = [sys.executable, "-m", "spaces_workers.flower", "--port", "0"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Flower cannot start at 127.0.0.1:0: ")
    assert said in ended.stderr
    assert "only-a-password" not in ended.stderr


def test_a_taken_port_is_named(shared_farm: Farm, flower: Flower) -> None:
    port = str(urllib.parse.urlsplit(flower.url).port)
    command = [
        sys.executable,
        "-m",
        "spaces_workers.flower",
        "--redis-url",
        shared_farm.broker.url,
        "--port",
        port,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Flower cannot start at 127.0.0.1:{port}: ")


def test_it_goes_on_when_the_broker_comes_back(own_farm: Farm, tmp_path: Path) -> None:
    """Flower's own way doubles its pause at each failure."""
    with flower_of(own_farm, tmp_path) as flower, own_farm.client() as client:
        own_farm.restart_broker()
        with client.submit("faults", "add", 1, 2):
            wait_until(lambda: flower.ask("/api/queues/length")[0] == 200 and flower.waiting()["zerofarm.large"] == 1)
        wait_until(lambda: _shows_a_new_task(flower, client))


def _shows_a_new_task(flower: Flower, client: spaces.Farm) -> bool:
    with client.submit("faults", "add", 1, 2) as handle:
        pass
    return handle.id in flower.tasks()


def test_it_stops_while_the_broker_is_away(own_farm: Farm, tmp_path: Path) -> None:
    """Celery's threads wait for an absent broker without end."""
    with flower_of(own_farm, tmp_path) as flower:
        own_farm.broker.stop()
        assert flower.ask("/api/queues/length") == (503, "the broker does not answer")
        flower.ask("/?refresh=1")
        flower.process.send_signal(signal.SIGINT)
        assert flower.process.wait(PATIENCE) == 0


def test_a_task_that_was_lost_with_its_workers_is_shown_as_failed(own_farm: Farm) -> None:
    memory = EventsState()
    with own_farm.client() as client:
        handle = client.submit("faults", "add", 1, 2)
        memory.event({"type": "task-sent", "uuid": handle.id, "name": "faults.add"} | _of("caller"))
        claimed = own_farm.queue.claim("w1", list(Size))
        assert claimed is not None
        memory.event({"type": "task-started", "uuid": handle.id} | _of("w1"))
        own_farm.queue.end(claimed.lease, Lost(3))
        ends = Ends(memory, own_farm.queue)
        asyncio.run(ends.look())
        assert memory.tasks[handle.id].state == "STARTED"  # its worker may still tell
        asyncio.run(ends.look())
        assert memory.tasks[handle.id].state == "FAILURE"
        assert memory.tasks[handle.id].exception == "lost"


def test_the_end_of_a_task_is_told_though_its_worker_stops_at_once(own_farm: Farm) -> None:
    """A worker gathers events for a moment, and must send those that it has when it stops."""
    worker = own_farm.start_worker()
    told: list[str] = []
    app = make_celery(own_farm.broker.url)
    with app.connection_for_read() as first, own_farm.client() as client:
        receiver = app.events.Receiver(first, handlers={"*": lambda event: told.append(event["type"])})
        with receiver.consumer_context(wakeup=False) as (connection, channel, _consumers):
            pool = channel.pool  # which the channel gives up at its end

            def heard(kind: str) -> bool:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)
                return kind in told

            wait_until(lambda: heard("worker-heartbeat"))
            client.submit("faults", "add", 1, 2).result()
            worker.terminate()
            wait_until(lambda: heard("worker-offline"))
        pool.disconnect()  # kombu leaves these connections to the garbage collector, which warns at times
    app.close()
    of_task = [kind for kind in told if kind.startswith("task") and kind != "task-sent"]  # which its caller tells
    assert of_task == ["task-received", "task-started", "task-succeeded"]


def _of(hostname: str) -> dict[str, Any]:  # Any: the fields that every event of Celery's has
    return {"hostname": hostname, "timestamp": 1.0, "local_received": 1.0, "clock": 1, "utcoffset": 0, "pid": 1}
