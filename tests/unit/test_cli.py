"""The command line: its options, its errors, and the parts of `zerofarm up` that need no process."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from spaces.farm.page_addresses import Page, Pages, read_pages
from spaces_workers.commands import options
from spaces_workers.commands.options import LONGEST_RUN_DIR
from spaces_workers.doctor.finding import Finding, Status
from spaces_workers.gpu import plan as worker_plan
from spaces_workers.gpu.devices import H200_BYTES, Device, GpuError, Kind, standin
from spaces_workers.gpu.plan import PlannedWorker, plan_workers
from spaces_workers.link.listener import listen
from spaces_workers.setup.farm_key import KeyFault, farm_key
from spaces_workers.setup.ports import PortError, Ports
from spaces_workers.setup.served_space import ServedSpace, SpaceFault, served_space, served_spaces
from spaces_workers.setup.state_dir import StateDirFault, default_state_dir, only_farm, usable
from spaces_workers.up.door.service import lookup_path
from spaces_workers.up.keeper import FIRST_PAUSE, LONGEST_PAUSE, SOUND, Keeper, Pause, Service
from spaces_workers.up.log_tail import KEPT_BYTES, LogTail
from spaces_workers.up.process import Command, Process, described
from spaces_workers.up.reports import Answering, Failed, JsonLines, Ready, Report, Restarting, Starting, Words
from tests.harness import free_port
from tests.unit.command_run import Run
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZEROFARM_URL", "ZEROFARM_KEY", "ZEROFARM_STATE_DIR", "REDIS_URL", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


def gpus(count: int, kind: Kind = "gpu", index: int | None = None) -> list[Device]:
    return [
        Device(
            f"GPU-{number}", number if index is None else index, "NVIDIA H200", H200_BYTES, kind, ("large", "xlarge")
        )
        for number in range(count)
    ]


def space(folder: Path, name: str = "app.py", readme: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / name).write_text("")
    if readme:
        (folder / "README.md").write_text(readme)
    return folder


# --- what is refused, in one line that names the value and the remedy


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("up", "nowhere"), "there is no Space at nowhere: give a folder with app.py, or a .py file"),
        (("up", "{here}/text.txt"), "text.txt is no Space: give a folder with app.py, or a .py file"),
        (("up", "{here}"), "has no app.py: a Space is a folder with app.py"),
        (
            ("up", "{here}/space", "--gpus", "none", "--port", "70000"),
            "--port must be a whole number between 0 and 65535, got 70000",
        ),
        (("up", "--workers", "0"), "--workers must be a whole number of at least 1, got 0"),
        (("up", "--workers-per-gpu", "two"), "--workers-per-gpu must be a whole number of at least 1, got two"),
        (("web", "{here}/space", "--port", "-1"), "--port must be a whole number between 0 and 65535, got -1"),
        (("up", "{here}/space", "--gpus", "none", "--port", "{taken}"), "port {taken} of 127.0.0.1 is taken"),
        (("up", "{here}/space", "--gpus", "none", "--host", "no.such.host.invalid"), "--host no.such.host.invalid"),
        (("up", "{here}/space", "--gpus", "none", "--port", "0", "--flower-port", "{taken}"), "--flower-port"),
        (("up", "{here}/space", "--gpus", "7"), "asks for GPU '7', which is not here"),
        (("up", "{here}/space", "--gpus", "none", "--state-dir", "{here}/text.txt"), "Give another --state-dir"),
        (("up", "{here}/space", "--gpus", "none", "--run-dir", "/proc/here"), "Give another --run-dir"),
        (("up", "{here}/space", "--gpus", "none", "--run-dir", "{here}/text.txt"), "text.txt is a file. Give another"),
        (("up", "{here}/space", "--gpus", "none", "--host", "192.0.2.1"), "this machine has no address 192.0.2.1"),
        (("status",), "no farm runs in {state}: start one with `zerofarm up`, or give its broker by --redis-url"),
        (("cancel", "00ff"), "no farm runs in {state}"),
        (("status", "--redis-url", "http://here"), "broker URL must begin with one of"),
        (("status", "--redis-url", "redis://:secret@127.0.0.1:{free}/0"), "redis://:***@127.0.0.1:{free}/0 does not"),
        (("home", "--redis-url", "redis://here", "--port", "0", "--link", "digits"), "--link must be NAME=URL"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(arguments: Sequence[str], complaint: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("")
    space(tmp_path / "space")
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        names = {
            "here": tmp_path,
            "state": tmp_path / "state",
            "taken": taken.getsockname()[1],
            "free": free.getsockname()[1],
        }
        given = [argument.format(**names) for argument in arguments]
        if "--state-dir" not in given:
            given += ["--state-dir", str(tmp_path / "state")]
        code, output, errors = run(*given)
        assert code == 1
        assert output == ""
        (line,) = errors.splitlines()
        assert line.startswith("zerofarm: ")
        assert complaint.format(**names) in line


@pytest.mark.parametrize("arguments", [("up", "--no-such-option"), ("fly",)])
def test_what_is_no_option_and_no_command_is_named(arguments: Sequence[str], run: Run) -> None:
    code, _, errors = run(*arguments)
    assert code == 2
    assert arguments[-1] in errors


@pytest.mark.parametrize("command", ["up", "worker", "web", "home", "flower", "status", "cancel", "doctor"])
def test_every_command_has_help(command: str, run: Run) -> None:
    code, output, _ = run(command, "--help")
    assert code == 0
    assert f"zerofarm {command}" in output


# --- doctor


@pytest.mark.parametrize(("problem", "code"), [("problem", 1), ("warning", 0), ("ok", 0)])
def test_doctor_leaves_with_1_where_something_is_wrong(
    problem: Status, code: int, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = [Finding("Python", "ok", "3.11"), Finding("GPUs", problem, "none [here]", "buy one")]
    monkeypatch.setattr("spaces_workers.doctor.machine.examine", lambda url: found)
    assert run("doctor", "--state-dir", tmp_path)[0] == code
    told = run("doctor", "--json", "--state-dir", tmp_path)
    assert told[0] == code
    assert json.loads(told[1])[1] == {
        "subject": "GPUs",
        "status": problem,
        "message": "none [here]",
        "remedy": "buy one",
    }
    assert "none [here]" in run("doctor", "--state-dir", tmp_path)[1]


# --- Spaces


def test_a_space_is_named_after_its_folder_and_described_by_its_readme(tmp_path: Path) -> None:
    folder = space(
        tmp_path / "My Space",
        "main.py",
        "---\ntitle: 'Mine'\nemoji: 🐙\ncolorFrom: blue\ncolorTo: pink\napp_file: main.py\n---\ntitle: not this\n",
    )
    expected = ServedSpace("my-space", folder / "main.py", "Mine", "🐙", "blue", "pink")
    assert served_space(folder) == expected
    assert served_space(folder / "main.py") == expected


def test_a_script_alone_is_named_after_itself(tmp_path: Path) -> None:
    folder = space(tmp_path / "scripts", "hello_world.py")
    assert served_space(folder / "hello_world.py") == ServedSpace("hello-world", folder / "hello_world.py")


def test_spaces_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    folders = [space(tmp_path / parent / "demo") for parent in ("a", "b", "c")]
    assert [each.name for each in served_spaces(folders)] == ["demo", "demo-2", "demo-3"]


@pytest.mark.parametrize("readme", ["", "---\n", "no front matter", "---\nsdk: gradio\n"])
def test_a_readme_without_front_matter_says_nothing(readme: str, tmp_path: Path) -> None:
    assert served_space(space(tmp_path / "demo", readme=readme)).title == ""


def test_a_readme_that_names_a_missing_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceFault, match=r"has no main\.py"):
        served_space(space(tmp_path / "demo", readme="---\napp_file: main.py\n---\n"))


# --- workers


def test_each_gpu_gets_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_workers.gpu.devices.discover", lambda: gpus(2))
    assert plan_workers("auto", None, 1).workers == [PlannedWorker("gpu0", "GPU-0"), PlannedWorker("gpu1", "GPU-1")]


def test_a_shared_gpu_gets_its_second_worker_when_every_gpu_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_workers.gpu.devices.discover", lambda: gpus(2))
    assert [worker.name for worker in plan_workers("auto", 3, 2).workers] == ["gpu0", "gpu1", "gpu0-2"]


def test_slices_of_one_gpu_have_names_of_their_own() -> None:
    slices = gpus(2, "mig", index=3)
    assert [worker_plan.name_of(each, 0, slices) for each in slices] == ["gpu3-mig0", "gpu3-mig1"]


def test_more_workers_than_shares_of_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_workers.gpu.devices.discover", lambda: gpus(2))
    with pytest.raises(
        GpuError, match="--workers 5 is more than the 4 that --gpus auto with --workers-per-gpu 2 makes"
    ):
        plan_workers("auto", 5, 2)


def test_without_gpus_auto_is_one_stand_in_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_workers.gpu.devices.discover", list)
    plan = plan_workers("auto", None, 1)
    assert plan.workers == [PlannedWorker("cpu0", "none")]
    assert "this machine has no GPU" in plan.note
    assert plan_workers("none", 2, 1) == worker_plan.WorkerPlan(
        [PlannedWorker("cpu0", "none"), PlannedWorker("cpu1", "none")]
    )


def test_workers_of_one_host_claim_different_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, first_name = worker_plan.claim("none", 1, tmp_path)
    second, second_name = worker_plan.claim("none", 1, tmp_path)
    with first, second:
        assert (first.device, first_name) == (standin(0), "cpu0")
        assert (second.device, second_name) == (standin(1), "cpu1")


def test_workers_that_share_a_gpu_have_equal_parts_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("spaces_workers.gpu.devices.discover", lambda: gpus(1))
    claims = [worker_plan.claim("auto", 2, tmp_path) for _ in range(2)]
    assert [(name, claim.memory_fraction) for claim, name in claims] == [("gpu0", 0.5), ("gpu0-2", 0.5)]
    with claims[0][0], claims[1][0], pytest.raises(GpuError, match="every GPU that this worker may use is taken"):
        worker_plan.claim("auto", 2, tmp_path)


# --- ports


def test_ports_are_free_and_given_once() -> None:
    ports = Ports("127.0.0.1")
    given = [ports.exactly(0, "--port") for _ in range(50)]
    assert len(set(given)) == 50


def test_no_outgoing_connection_takes_a_port_before_its_server_listens() -> None:
    """The home page, or the door, found its port taken, and the farm did not start."""
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert Ports("127.0.0.1").exactly(0, "--port") < outgoing


def test_spaces_take_the_next_ports_that_are_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports("127.0.0.1")
        first = ports.after(port - 1)
        assert first > port
        assert ports.after(port - 1) > first


def test_a_port_that_is_taken_is_named_with_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortError, match="give another --port, or 0"):
        Ports("127.0.0.1").exactly(taken.getsockname()[1], "--port")


# --- the state directory and the key


def test_the_key_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    key = farm_key(tmp_path, {})
    assert len(key) == 32
    assert farm_key(tmp_path, {}) == key
    assert stat.S_IMODE((tmp_path / "farm.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["farm.key"]


def test_the_operators_key_comes_first(tmp_path: Path) -> None:
    assert farm_key(tmp_path, {"ZEROFARM_KEY": "0f" * 16}) == b"\x0f" * 16
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["secret", "00ff"])
def test_a_bad_key_is_refused_without_being_shown(key: str, tmp_path: Path) -> None:
    with pytest.raises(KeyFault, match=r"\$ZEROFARM_KEY must") as refused:
        farm_key(tmp_path, {"ZEROFARM_KEY": key})
    assert key not in str(refused.value)


def test_the_state_directory_is_among_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_state_dir() == tmp_path / ".local" / "state" / "zerofarm"
    monkeypatch.setenv("ZEROFARM_STATE_DIR", "/somewhere")
    assert default_state_dir() == Path("/somewhere")


def test_one_farm_at_a_time_has_a_state_directory(tmp_path: Path) -> None:
    folder = usable(tmp_path / "state")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with only_farm(folder), pytest.raises(StateDirFault, match="a farm runs in"), only_farm(folder):
        pass
    with only_farm(folder):
        pass


def test_a_run_directory_that_is_too_long_for_its_sockets_is_refused(tmp_path: Path) -> None:
    """`zerofarm up` ended with a traceback, and a worker without a word."""
    room = LONGEST_RUN_DIR - len(bytes(tmp_path)) - 1
    with options.using(tmp_path / ("a" * room)) as longest:
        assert listens_at(lookup_path(longest, tmp_path))
    with pytest.raises(StateDirFault, match="Give a shorter --run-dir"), options.using(tmp_path / ("a" * (room + 1))):
        pass


def listens_at(path: Path) -> bool:
    with closing(listen(path)) as listener:
        return bool(listener.getsockname() == str(path))


# --- processes, their logs and their pauses


@pytest.fixture
def stubborn(tmp_path: Path) -> Command:
    program = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    )
    return Command([sys.executable, "-c", program], {}, tmp_path / "log", steps=())


def test_a_process_that_ignores_the_word_is_killed(stubborn: Command) -> None:
    async def story() -> int:
        process = await Process.start(stubborn)
        await process.stop()
        return await process.ended()

    assert described(asyncio.run(story())) == "was killed by SIGKILL"


def test_how_a_process_ended_is_said_in_words() -> None:
    assert described(3) == "exited with code 3"
    assert described(-11) == "was killed by SIGSEGV"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("", "exited: its script ended without calling launch()"),
        ("raise SystemExit(3)", "exited with code 3 before it answered"),
    ],
)
def test_a_space_that_ends_before_it_answers_says_how(tmp_path: Path, program: str, reason: str) -> None:
    async def story() -> None:
        command = Command([sys.executable, "-c", program], {}, tmp_path / "log")
        await Keeper(Service("Space demo", command, lambda process: never, space="demo"), hear).run()

    async def never() -> bool:
        return False

    def hear(report: Report) -> None:
        told.append(report)

    told: list[Report] = []
    asyncio.run(story())
    assert [each.reason for each in told if isinstance(each, Failed)] == [reason]


def test_a_process_that_the_system_cannot_start_now_is_started_later(tmp_path: Path) -> None:
    """Without a descriptor or memory to spare for it; the farm ended."""

    async def story() -> None:
        (tmp_path / "log").mkdir()
        command = Command([sys.executable, "-c", "import time; time.sleep(60)"], {}, tmp_path / "log")
        keeper = Keeper(Service("worker", command, lambda process: at_once), hear)
        running = asyncio.create_task(keeper.run())
        async with asyncio.timeout(20.0):
            while not told or keeper.answers:
                await asyncio.sleep(0.01)
            (tmp_path / "log").rmdir()
            await keeper.settled.wait()
        running.cancel()
        await keeper.stop()

    async def at_once() -> bool:
        return True

    def hear(report: Report) -> None:
        told.extend([report.reason] if isinstance(report, Restarting) else [])

    told: list[str] = []
    asyncio.run(story())
    assert told[0].startswith("could not be started: [Errno 21] Is a directory")


def test_pauses_grow_to_a_bound_and_start_anew_after_a_sound_life() -> None:
    pause = Pause()
    pauses = [pause.next(0.0) for _ in range(12)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert pause.next(SOUND + 1) == FIRST_PAUSE


TRACEBACK = "Traceback (most recent call last):\n  File\nKeyError: 'x'"
CHAIN = f"{TRACEBACK}\n\nDuring handling of the above exception, another exception occurred:\n\n{TRACEBACK}"
LINES = [f"line {number}" for number in range(100)]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (f"loading\n{TRACEBACK}\n", TRACEBACK),
        (f"{TRACEBACK}\nit goes on\n{CHAIN}\n", CHAIN),
        ("\n".join(LINES), "\n".join(LINES[-20:])),
        ("", ""),
    ],
    ids=["traceback", "chain", "lines", "nothing"],
)
def test_the_last_words_of_a_process_are_its_traceback_or_its_last_lines(
    written: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_text("what an earlier process wrote\n")
    tail = LogTail(path)
    with path.open("a") as log:
        log.write(written)
    assert tail.last_words() == words


def test_a_log_that_has_grown_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as log:
        log.truncate(KEPT_BYTES + 1)
    LogTail(path)
    assert [each.name for each in tmp_path.iterdir()] == ["log.1"]


# --- what the operator is told


def test_pages_are_read_as_they_were_written(tmp_path: Path) -> None:
    pages = Pages("http://home", "", {"digits": Page("http://digits", "serving", "Digits", "✍️")})
    pages.write(tmp_path / "pages.json")
    assert read_pages(tmp_path / "pages.json") == pages
    assert read_pages(tmp_path / "nothing") == Pages()


def test_json_reports_are_one_object_a_line() -> None:
    output = io.StringIO()
    report = JsonLines(output)
    report(Starting("home"))
    report(Answering("home", "http://127.0.0.1:1", 0.5))
    assert [json.loads(line) for line in output.getvalue().splitlines()] == [
        {"event": "starting", "name": "home"},
        {"event": "answering", "name": "home", "url": "http://127.0.0.1:1", "seconds": 0.5},
    ]


def test_words_tell_every_page() -> None:
    output = io.StringIO()
    report = Words(Console(file=output, width=120))
    report(Starting("Space broken"))
    report(Failed("Space broken", "broken", "exited with code 1", "ValueError: [red]", "/logs/broken.log"))
    report(Restarting("worker cpu0", "was killed by SIGKILL", 0.2, "/logs/worker.log"))
    report(
        Ready(
            home="http://127.0.0.1:7860",
            flower="http://127.0.0.1:5555",
            flower_login_file="/state/flower.login",
            broker="redis://127.0.0.1:6379/0",
            workers=[{"name": "cpu0@here", "device": "CPU stand-in 0", "sizes": ["large", "xlarge"]}],
            spaces={"digits": "http://127.0.0.1:7861"},
            failed=["broken"],
        )
    )
    told = output.getvalue()
    for words in ("http://127.0.0.1:7860", "http://127.0.0.1:7861", "CPU stand-in 0", "did not start", "[red]"):
        assert words in told
    assert "restarts in 0.2 s" in told
    assert told.count("with the login in /state/flower.login") == 1


def test_words_tell_how_an_empty_farm_gets_its_first_space() -> None:
    output = io.StringIO()
    home = "http://127.0.0.1:7860"
    Words(Console(file=output, width=120))(Ready(home, None, None, "redis://127.0.0.1:6379/0", workers=[], spaces={}))
    assert "`zerofarm add`" in output.getvalue()


def test_an_address_of_ipv6_is_told_as_it_is() -> None:
    """Its brackets were taken for markup, which ended the farm."""
    output = io.StringIO()
    Words(Console(file=output, width=120))(Answering("Space digits", "http://[::1]:7861", 0.5))
    assert output.getvalue() == "✓ Space digits at http://[::1]:7861 after 0.5 s\n"


def test_no_command_takes_itself_for_the_page_of_a_space() -> None:
    """As in the container of a Space, whose gateway refuses those without a token, and may not be there yet."""
    environment = os.environ | {"ZEROFARM_URL": f"gateway://127.0.0.1:{free_port()}"}
    command = [sys.executable, "-m", "spaces_workers.cli", "web", "/nowhere"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("zerofarm: there is no Space at /nowhere"), done.stderr
