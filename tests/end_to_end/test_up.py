"""`zerofarm up`: a whole farm by one command, killed in every part, and gone without a trace."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from gradio_client import Client
from gradio_client.client import Job

from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces_workers.broker.find import find_broker
from spaces_workers.broker.users import RULES, password_of
from tests.broker.support import leaked_keys
from tests.harness import SPACES, is_of, leftovers
from tests.waiting import PATIENCE, START_PATIENCE, wait_until

Event = dict[str, Any]  # Any: JSON


def _is_orphan_of(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.ppid() in (0, 1) and is_of(process, folder)
    except psutil.Error:
        return False


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


class Up:
    """A running `zerofarm up --json`."""

    def __init__(self, folder: Path, *arguments: str, program: Sequence[str] = ()) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self._before = {process.pid for process in psutil.process_iter()}
        self._events = folder / "events"
        self._errors = folder / "errors"
        with self._events.open("wb") as output, self._errors.open("wb") as errors:
            options = ["--json", "--port", "0", "--state-dir", str(self.state_dir), "--run-dir", str(folder / "run")]
            self.process = subprocess.Popen(
                [*(program or zerofarm()), "up", *arguments, *options],
                stdout=output,
                stderr=errors,
                env=without_a_farm(),
                cwd=_in_the_way(folder),
            )

    @property
    def events(self) -> list[Event]:
        """Its reports so far."""
        lines = self._events.read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def told(self, event: str, **facts: str) -> list[Event]:
        """The reports of one kind with these fields."""
        return [each for each in self.events if each["event"] == event and facts.items() <= each.items()]

    def ready(self) -> Event:
        """The event that everything answers."""
        wait_until(lambda: self.told("ready") or self.process.poll() is not None, START_PATIENCE)
        assert self.told("ready"), self.errors
        return self.told("ready")[0]

    def log(self, name: str) -> str:
        """What one of its processes has written."""
        return (self.state_dir / "logs" / f"{name}.log").read_text()

    def pid_of(self, *words: str) -> int:
        """The process of the farm whose command line has these words."""
        started = [process.pid for process in psutil.Process(self.process.pid).children(recursive=True)]
        # A page that was forked has no parent any more where its fork server has died.
        ours = [each for each in psutil.process_iter() if each.pid in started or _is_orphan_of(each, self.folder)]
        (found,) = [each for each in ours if set(words) <= set(command_of(each))]
        return found.pid

    def client(self, space: str = "echo") -> Client:
        return Client(self.ready()["spaces"][space], verbose=False)

    def left(self) -> list[str]:
        """The processes that it has left."""
        return leftovers(self._before, self.folder)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of `zerofarm` on the same farm."""
        command = [*zerofarm(), *arguments, "--state-dir", str(self.state_dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=without_a_farm())

    def stop(self) -> int:
        """SIGTERM; the exit code, which must come in time."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def _in_the_way(folder: Path) -> Path:
    """A folder for the operator to be in, with a module of our package's name."""
    (folder / "here").mkdir(exist_ok=True)
    (folder / "here" / "spaces.py").write_text("raise RuntimeError('not this one')")
    return folder / "here"


def zerofarm() -> list[str]:
    """As the console script, which does not look for modules where the operator is."""
    return [sys.executable, "-P", "-m", "spaces_workers.cli"]


def without_a_farm() -> dict[str, str]:
    """The environment of this process, in which the operator has named no broker, key or login."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("ZEROFARM_", "REDIS_", "FLOWER_"))
    }


Start = Callable[..., Up]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts farms of the test's own; none of them leaves a process."""
    started: list[Up] = []

    def up(*arguments: str) -> Up:
        started.append(Up(tmp_path, *arguments))
        return started[-1]

    yield up
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
        wait_until(lambda: not each.left(), otherwise=each.left)  # noqa: B023 - called at once


@contextmanager
def serving(farm: Up) -> Iterator[None]:
    """A farm that answers in the block, stops after it, and leaves no process."""
    try:
        farm.ready()
        yield
        assert farm.stop() == 0
        assert farm.left() == []
    finally:
        farm.process.kill()
        farm.process.wait()


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A farm for the tests that leave it as they find it: two workers, and Spaces, of which one fails."""
    farm = Up(
        tmp_path_factory.mktemp("up"),
        *(str(SPACES / name) for name in ("echo", "broken", "detached")),
        *("--gpus", "none", "--workers", "2", "--no-flower", "--gateway-port", "0"),
    )
    with serving(farm):
        yield farm
    assert farm.errors == ""


def status(farm: Up) -> Event:
    with urllib.request.urlopen(f"{farm.ready()['home']}/api/status", timeout=PATIENCE) as answer:
        found: Event = json.load(answer)
    return found


def running(farm: Up) -> list[Event]:
    return [task for task in status(farm)["tasks"] if task["state"] == "running"]


def waits(farm: Up, seconds: float) -> Job:
    """A visitor whose task runs for so long; it runs when this returns."""
    job = farm.client().submit(seconds, api_name="/wait")
    wait_until(lambda: running(farm))
    return job


def test_ready_names_everything_that_answers(farm: Up) -> None:
    ready = farm.ready()
    assert sorted(worker["name"].split("@")[0] for worker in ready["workers"]) == ["cpu0", "cpu1"]
    assert {worker["device"] for worker in ready["workers"]} == {"CPU stand-in 0", "CPU stand-in 1"}
    assert sorted(ready["spaces"]) == ["detached", "echo"]
    assert ready["flower"] is None
    assert ready["broker"].startswith("redis+socket://:***@")
    with connect((farm.state_dir / "broker.url").read_text()) as redis:
        assert len(Queue(redis).leases.workers()) == 2
    with urllib.request.urlopen(ready["home"], timeout=PATIENCE) as page:
        assert b"<title>ZeroFarm</title>" in page.read()


def test_each_line_of_a_page_has_its_time(farm: Up) -> None:
    farm.ready()
    lines = farm.log("web-echo").splitlines()
    assert lines
    assert [line for line in lines if not re.match(r"\d\d:\d\d:\d\d (-|[0-9a-f]{8}) ", line)] == []


def test_a_farm_that_has_stopped_leaves_nothing_in_shared_memory_or_in_its_broker(start: Start) -> None:
    """But for keys with a lifetime: values of a stream that a visitor left stayed, and so they would at each start."""
    up = start(str(SPACES / "frames"), "--gpus", "none", "--no-flower")
    client = up.client("frames")
    assert client.predict(3, api_name="/sizes") == str(2**20)
    watched = client.submit(2000, api_name="/sizes")
    wait_until(lambda: watched.outputs())
    client.close()
    wait_until(lambda: running(up))
    assert up.stop() == 0
    assert list((up.folder / "run" / "blobs").iterdir()) == []
    with find_broker(up.state_dir) as broker, connect(broker.url) as redis:
        assert leaked_keys(Queue(redis)) == []
        assert list(redis.scan_iter(Queue(redis).keys.blob("*"))) == []


def test_a_space_that_fails_to_import_is_reported_with_its_traceback_and_stops_nothing(farm: Up) -> None:
    assert farm.ready()["failed"] == ["broken"]
    (failed,) = farm.told("failed")
    assert failed["space"] == "broken"
    assert failed["traceback"].startswith("Traceback (most recent call last):")
    assert failed["traceback"].endswith("RuntimeError: the weights are not where they should be")
    (space,) = [space for space in status(farm)["spaces"] if space["name"] == "broken"]
    assert space["page"]["serving"] == "failed"
    assert space["page"]["problem"] == "RuntimeError: the weights are not where they should be (app.py, line 3)"


def test_ready_is_said_of_a_space_when_its_page_answers(start: Start, tmp_path: Path) -> None:
    """Its other server had the page's address meanwhile, and was taken for the page."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW_PAGE)
    farm = start(str(script), "--gpus", "none", "--no-flower")
    with urllib.request.urlopen(f"{farm.ready()['spaces']['slow']}/config", timeout=PATIENCE) as answer:
        assert "Gradio" in json.load(answer)["title"]


SLOW_PAGE = """
import threading, time
import gradio as gr
import spaces
import uvicorn
from fastapi import FastAPI

@spaces.GPU
def f(): pass

threading.Thread(target=uvicorn.run, args=(FastAPI(),), kwargs={"port": 0}, daemon=True).start()
time.sleep(3)
with gr.Blocks() as demo:
    gr.Button().click(f)
demo.launch()
"""


def test_a_space_that_does_without_the_farm_serves_its_page_and_the_operator_is_told(farm: Up) -> None:
    """Its functions run in the web process, which only their slowness would show."""
    (note,) = [event["text"] for event in farm.events if event["event"] == "note" and "detached" in event["text"]]
    assert note.startswith(
        "Space detached: the script has replaced the package `spaces` by namespace(GPU=<function <lambda>"
    )
    assert f"ZeroFarm: {note.removeprefix('Space detached: ')}\n" in farm.log("web-detached")
    pid = farm.pid_of(str(SPACES / "detached" / "app.py"))
    assert farm.client("detached").predict("hello", api_name="/echo") == f"hello from process {pid}"


def test_a_visitor_gets_an_answer_from_a_process_that_is_not_the_web_process(farm: Up) -> None:
    answer = farm.client().predict("hello", api_name="/echo")
    assert answer.startswith("hello from process ")
    assert int(answer.split()[-1]) != farm.pid_of(str(SPACES / "echo" / "app.py"))


def test_status_and_the_home_page_tell_the_same(farm: Up) -> None:
    farm.client().predict("hello", api_name="/echo")
    told = farm.run("status", "--json")
    assert told.returncode == 0, told.stderr
    of_command, of_page = json.loads(told.stdout), status(farm)
    assert of_command.keys() == of_page.keys() - {"operators"}
    assert of_command["home"] == of_page["home"] == farm.ready()["home"]
    echo = {space["name"]: space for space in of_command["spaces"]}["echo"]
    assert echo["functions"] == ["echo", "wait", "daemon", "variables"]
    assert echo["page"]["url"] == farm.ready()["spaces"]["echo"]
    assert (echo["page"]["title"], echo["page"]["emoji"]) == ("Echo", "📣")
    assert {task["space"] for task in of_command["tasks"]} == {"echo"}
    assert "CPU stand-in 1" in farm.run("status").stdout


def test_an_operator_can_cancel_a_running_task_by_the_beginning_of_its_id(farm: Up) -> None:
    job = waits(farm, 600)
    (task,) = running(farm)
    cancelled = farm.run("cancel", task["id"][:12])
    assert cancelled.stdout == f"{task['id']} is running; its worker was told to stop it\n"
    with pytest.raises(Exception, match="cancelled"):
        job.result(timeout=PATIENCE)
    assert farm.run("cancel", task["id"]).stderr == f"zerofarm: task {task['id']} had ended before\n"


def test_a_second_farm_in_the_same_state_directory_is_refused(farm: Up) -> None:
    refused = farm.run("up", str(SPACES / "echo"), "--gpus", "none", "--port", "0")
    assert refused.returncode == 1
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"zerofarm: a farm runs in {farm.state_dir} already, as process {farm.process.pid}.")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("worker cpu0", ("worker", "cpu0")),
        ("nursery", ("spaces_workers.nursery.server",)),
        ("Space echo", (str(SPACES / "echo" / "app.py"),)),
        ("home", ("spaces_app.home",)),
        ("fork server", ("spaces_workers.forkserver.server",)),
    ],
)
def test_what_dies_is_started_again_and_the_farm_works_on(farm: Up, name: str, words: tuple[str, ...]) -> None:
    before, answered = farm.pid_of(*words), len(farm.told("answering", name=name))
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: farm.told("restarting", name=name, reason="was killed by SIGKILL"))
    wait_until(lambda: len(farm.told("answering", name=name)) > answered)
    assert farm.pid_of(*words) != before
    assert farm.client().predict("again", api_name="/echo").startswith("again from process ")
    assert status(farm)["home"] == farm.ready()["home"]


def test_a_killed_nursery_leaves_the_fork_server_alone(farm: Up) -> None:
    """It took the fork server along, and a page that died meanwhile waited for its libraries to be imported again."""
    fork_server, answered = farm.pid_of("spaces_workers.forkserver.server"), len(farm.told("answering", name="nursery"))
    os.kill(farm.pid_of("spaces_workers.nursery.server"), signal.SIGKILL)
    wait_until(lambda: len(farm.told("answering", name="nursery")) > answered)
    assert farm.pid_of("spaces_workers.forkserver.server") == fork_server
    assert farm.client().predict("again", api_name="/echo").startswith("again from process ")


def test_a_broker_of_ours_that_dies_is_started_again_and_the_farm_works_on(farm: Up) -> None:
    children = psutil.Process(farm.process.pid).children()
    (broker,) = [child for child in children if "broker.sock" in " ".join(child.cmdline())]
    answered = len(farm.told("answering", name="broker"))
    broker.kill()
    wait_until(lambda: len(farm.told("answering", name="broker")) > answered)
    assert farm.told("restarting", name="broker", reason="was killed by SIGKILL")
    assert farm.client().predict("again", api_name="/echo").startswith("again from process ")


def test_a_farm_whose_list_of_pages_cannot_be_written_goes_on_and_says_so_once(start: Start, tmp_path: Path) -> None:
    """It ended, as on a full disk."""
    in_the_way = tmp_path / "state" / "pages.json"
    in_the_way.mkdir(parents=True)
    farm = start(str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    assert farm.client().predict("hello", api_name="/echo").startswith("hello from process")
    (note,) = [event["text"] for event in farm.told("note") if "list of pages" in event["text"]]
    assert note.startswith("the list of pages is out of date, because it cannot be written: ")
    in_the_way.rmdir()
    wait_until(in_the_way.is_file)
    assert farm.stop() == 0


def test_sigterm_while_a_task_runs_ends_everything_in_time(start: Start) -> None:
    farm = start(str(SPACES / "echo"), "--gpus", "none")
    assert "127.0.0.1" in farm.ready()["flower"]
    waits(farm, 600)
    assert farm.stop() == 0
    assert farm.left() == []
    assert [event["event"] for event in farm.events[-2:]] == ["stopping", "stopped"]
    assert not farm.told("restarting")


def test_a_supervisor_that_is_killed_leaves_nothing_even_while_a_task_runs(start: Start) -> None:
    farm = start(str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    waits(farm, 600)
    farm.process.kill()
    farm.process.wait()
    wait_until(lambda: not farm.left(), otherwise=farm.left)


def test_ctrl_c_while_the_farm_starts_ends_it(start: Start) -> None:
    farm = start(str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    wait_until(lambda: farm.told("starting", name="Space echo"))
    farm.process.send_signal(signal.SIGINT)
    assert farm.process.wait(PATIENCE) == 0
    assert farm.left() == []


def test_the_memory_that_each_space_holds_is_told_to_the_operator(farm: Up) -> None:
    def of_echo() -> int:
        (space,) = [space for space in status(farm)["spaces"] if space["name"] == "echo"]
        return int(space["page"]["memory_bytes"])

    web = psutil.Process(farm.pid_of(str(SPACES / "echo" / "app.py"))).memory_full_info().uss
    wait_until(lambda: of_echo() > web)  # its zygote counts too
    assert "MiB" in farm.run("status").stdout


def daemons(farm: Up) -> list[str]:
    """Those that have become their program: before that they are called `setsid -f sleep 6000`."""
    return [each for each in farm.left() if each.split()[1:] == ["sleep", "6000"]]


def test_what_a_page_starts_ends_with_it_and_with_the_farm(start: Start) -> None:
    """Daemons lived on: one more for each restart of the page, and after the farm."""
    farm = start(str(SPACES / "daemons"), "--gpus", "none", "--no-flower")
    farm.ready()
    (first,) = daemons(farm)
    page = farm.pid_of(str(SPACES / "daemons" / "app.py"))
    os.kill(page, signal.SIGKILL)
    wait_until(lambda: len(farm.told("answering", name="Space daemons")) == 2)
    (second,) = daemons(farm)
    assert first != second
    assert farm.stop() == 0
    assert farm.left() == []


def test_what_a_page_of_a_killed_farm_has_left_ends_when_the_farm_starts_again(start: Start) -> None:
    farm = start(str(SPACES / "daemons"), "--gpus", "none", "--no-flower")
    farm.ready()
    (first,) = daemons(farm)
    farm.process.kill()
    farm.process.wait()
    wait_until(lambda: farm.left() == [first], otherwise=farm.left)
    again = start(str(SPACES / "daemons"), "--gpus", "none", "--no-flower")
    again.ready()
    assert first not in daemons(farm)
    assert again.stop() == 0
    wait_until(lambda: not farm.left(), otherwise=farm.left)


def test_what_a_function_of_a_killed_farm_has_left_ends_when_the_farm_starts_again(start: Start) -> None:
    farm = start(str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    farm.client().submit(api_name="/daemon")
    wait_until(lambda: daemons(farm))
    (first,) = daemons(farm)
    farm.process.kill()
    farm.process.wait()
    wait_until(lambda: farm.left() == [first], otherwise=farm.left)
    again = start(str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    again.ready()
    assert first not in daemons(farm)
    assert again.stop() == 0
    wait_until(lambda: not farm.left(), otherwise=farm.left)


def test_no_process_of_a_space_is_told_what_the_farm_keeps_for_itself(farm: Up) -> None:
    """Of the page, of the script while it is imported, and of a GPU function."""
    key, password = ((farm.state_dir / name).read_text() for name in ("farm.key", "broker.password"))
    told = farm.client().predict(api_name="/variables")
    assert [each["ZEROFARM_ROLE"] for each in told] == ["web", "web", "worker"]
    for environment in told:
        assert not {"ZEROFARM_KEY", "ZEROFARM_STATE_DIR", "FLOWER_BASIC_AUTH", "REDIS_URL"} & environment.keys()
        assert environment.get("ZEROFARM_URL", "gateway:").startswith("gateway:")
        assert not [value for value in environment.values() if key in value or password in value]


def test_the_passwords_of_the_broker_are_in_no_log_no_output_and_on_no_command_line(farm: Up) -> None:
    farm.ready()
    password = (farm.state_dir / "broker.password").read_text()
    passwords = {password, *(password_of(user, password) for user in RULES)}
    started = psutil.Process(farm.process.pid).children(recursive=True)
    texts = [" ".join(command_of(process)) for process in started]
    texts += [path.read_text(errors="replace") for path in (farm.state_dir / "logs").rglob("*.log")]
    texts += [(farm.state_dir / "broker.log").read_text(), json.dumps(farm.events), farm.errors]
    texts += [farm.run("status", "--json").stdout, farm.run("doctor").stdout]
    assert len(texts) > 15
    assert not [text for text in texts for each in passwords if each in text]


def test_a_program_calls_by_the_gateway_s_port_with_a_token(farm: Up) -> None:
    code = """
import spaces

with spaces.Farm() as program:
    print(program.submit("echo", "echo", "hello").result())
    program.submit("detached", "echo", "hello")
"""
    token = farm.run("token", "new", "--space", "echo").stdout.strip()
    environment = without_a_farm() | {"ZEROFARM_URL": farm.ready()["gateway"], "ZEROFARM_TOKEN": token}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.stdout.startswith("hello from process")
    assert "is for Space 'echo', not for 'detached'. Make one on the farm's host by `zerofarm token new" in ended.stderr


def test_a_killed_gateway_is_started_again_and_pages_go_on(farm: Up) -> None:
    client = farm.client()
    waiting = client.submit(3, api_name="/wait")
    os.kill(farm.pid_of("spaces_workers.gateway"), signal.SIGKILL)
    assert client.predict("hello", api_name="/echo").startswith("hello from process")
    assert waiting.result(timeout=PATIENCE) == "done"
