"""Real farms for tests: a real broker, real workers on CPU stand-ins, real zygotes and children."""

from __future__ import annotations

import ast
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path

import psutil
import pytest

import spaces
from spaces import config
from spaces.farm.broker_errors import AWAY
from spaces.farm.connection import connect
from spaces.farm.queue import settings
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import FunctionRecord, Registry, SpaceRecord, record_of
from spaces.farm.task import FunctionName
from spaces.farm.values.signing import derive_space_key
from spaces.source import Source
from spaces_workers.broker.broker import Broker
from spaces_workers.broker.embedded import EmbeddedBroker
from spaces_workers.broker.find import find_broker
from spaces_workers.broker.server_settings import Listen
from spaces_workers.gateway.place import GATES, Gate, address_of, socket_of, to_text
from spaces_workers.isolation import prepare
from spaces_workers.nursery.client import socket_path as nursery_socket
from spaces_workers.setup.ports import PortError, Ports
from spaces_workers.setup.process_environment import of_web
from tests.broker.support import leaked_keys
from tests.forks import FORKED, ForkedPage, fork_page, start_nursery
from tests.waiting import PATIENCE, START_PATIENCE, wait_until

#: The version that pages run on, in an environment of their own; empty: the one of the tests.
GRADIO = os.environ.get("TEST_GRADIO", "")

SPACES = Path(__file__).parent / "spaces"
FARM_KEY = bytes(range(32))


class Farm:
    """A broker and the workers that a test starts."""

    def __init__(self, broker: Broker, folder: Path, listen: Listen | None = None) -> None:
        self.broker = broker
        self._listen = listen
        self.folder = folder
        self.run_dir = folder / "run"
        self.state_dir = folder / "state"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.webs: dict[str, subprocess.Popen[bytes] | ForkedPage] = {}
        self.nurseries: list[subprocess.Popen[bytes]] = []  #: that have their zygotes forked
        self.gateways: list[subprocess.Popen[bytes]] = []
        self.gated: set[str] = set()  #: Spaces whose pages reach the farm through a gateway
        self.redis = connect(broker.url)
        self.queue = Queue(self.redis)
        self.registry = Registry(self.redis)

    def client(self, space: str = "faults", *, near: bool = False) -> spaces.Farm:
        """A caller that holds the key of a Space; `near` shares the memory of the workers' host."""
        here = replace(config.current(), run_dir=self.run_dir, host="test-host" if near else "caller")
        with config.stand_in(here):
            return spaces.Farm(self.broker.url, derive_space_key(FARM_KEY, space).hex())

    def client_of_gateway(self, space: str = "faults", host: str = "test-host") -> spaces.Farm:
        """The same, as the page of a Space that reaches the farm through its gateway."""
        here = replace(config.current(), run_dir=self.run_dir, host=host)
        with config.stand_in(here):
            return spaces.Farm(self.address_of(space), derive_space_key(FARM_KEY, space).hex())

    def address_of(self, space: str) -> str:
        """The address of the gateway for the page of a Space."""
        return address_of(self.run_dir, self.state_dir, space)

    def start_gateway(self, *spaces: str, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start the gateway for the pages of these Spaces, and for tokens at a port; wait until it listens."""
        command = [sys.executable, "-m", "spaces_workers.gateway", "--state-dir", str(self.state_dir)]
        command += ["--listen", f"127.0.0.1:{port}"] if port else []
        environment = os.environ | {
            GATES: to_text(Gate(space, space, os.getuid()) for space in spaces),
            "ZEROFARM_URL": self.broker.url_of("gateway"),
            "ZEROFARM_RUN_DIR": str(self.run_dir),
            "ZEROFARM_HOST": "test-host",
        }
        log = (self.folder / "gateway.log").open("ab")
        gateway = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        log.close()
        self.gateways.append(gateway)
        self.gated |= {*spaces}
        wait_until(lambda: all(_listens(socket_of(self.run_dir, self.state_dir, space)) for space in spaces))
        wait_until(lambda: port is None or not _is_free(port))
        return gateway

    def register(self, name: str = "faults", app_file: Path | None = None, python: Path | None = None) -> SpaceRecord:
        """Make a Space of `tests/spaces` known, as its web process would; `python` is of an environment of its own."""
        source = Source(app_file or SPACES / name / "app.py")
        record = record_of(name, source, source.digest(), "test-host", _functions(source.app_file))
        if python is not None:
            record = replace(record, python=str(python), isolated=True)
        self.registry.register(record, source.archive(1 << 20))
        return record

    def start_worker(
        self,
        name: str = "cpu0",
        host: str = "test-host",
        within: Sequence[str] = (),
        gpu: str = "none",
        memory_fraction: float = 1.0,
        host_bytes: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a worker, by the command `within` if one is given, and wait until it is alive.

        `gpu` is the UUID of its GPU, `none` for a stand-in, or `broken` for one that is lost after its start.
        `host_bytes` is a file that says how much memory the host has, as far as the worker knows.
        """
        if FORKED and host == "test-host" and not self.nurseries:
            self._start_forking_nursery()
        environment = os.environ | {
            "ZEROFARM_URL": self.broker.url_of("worker"),
            "ZEROFARM_KEY": FARM_KEY.hex(),
            "ZEROFARM_RUN_DIR": str(self.run_dir if host == "test-host" else self.folder / f"run-{host}"),
            "ZEROFARM_HOST": host,
            "TEST_STATE_DIR": str(self.state_dir),
            "TEST_WORKER_NAME": name,
            "TEST_GPU": gpu,
            "TEST_MEMORY_FRACTION": str(memory_fraction),
            "TEST_HOST_BYTES": str(host_bytes or ""),
        }
        log = (self.folder / f"{name}.log").open("ab")
        worker = subprocess.Popen([*within, sys.executable, "-c", _WORKER], env=environment, stdout=log, stderr=log)
        log.close()
        self.workers.append(worker)
        wait_until(lambda: any(info.get("pid") == worker.pid for info in self.queue.leases.workers().values()))
        return worker

    def start_web(self, space: str = "studio", app_file: Path | None = None, path: str = "") -> str:
        """Start the web process of a Space and wait until its page answers. Returns its URL."""
        here = replace(config.current(), run_dir=self.run_dir, host="test-host")
        port = free_port()
        with config.stand_in(here):
            key = derive_space_key(FARM_KEY, space)
            url = self.address_of(space) if space in self.gated else self.broker.url
            environment = of_web(space, url, key, ("127.0.0.1", port))
        web = self.webs[space] = self._page(space, app_file or SPACES / space / "app.py", environment)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: web.poll() is not None or _answers(f"{url}{path}"), patience=START_PATIENCE)
        assert web.poll() is None, (self.folder / f"web-{space}.log").read_text()
        return url

    def _page(self, space: str, app_file: Path, environment: dict[str, str]) -> subprocess.Popen[bytes] | ForkedPage:
        python, variables = _python_of_spaces()
        path = self.folder / f"web-{space}.log"
        if FORKED:
            return fork_page(app_file, environment | variables, path, python)
        with path.open("ab") as log:
            command = [str(python), "-m", "spaces.script", str(app_file)]
            return subprocess.Popen(command, env=environment | variables, stdout=log, stderr=log)

    def _start_forking_nursery(self) -> None:
        log_dir = self.state_dir / "logs"
        self.nurseries.append(start_nursery(self.run_dir, log_dir, _python_of_spaces()[0]))
        wait_until(lambda: _listens(nursery_socket(self.run_dir, log_dir)))

    def stop_web(self, space: str) -> None:
        """Stop the web process of a Space."""
        web = self.webs.pop(space)
        web.terminate()
        web.wait(PATIENCE)

    def stop_workers(self) -> None:
        """Stop every worker, warm."""
        for process in (*self.workers, *self.nurseries):
            process.terminate()
        for process in (*self.workers, *self.nurseries):
            process.wait(PATIENCE)
        self.nurseries.clear()

    def kill_broker(self) -> None:
        """From now on nothing answers at the broker's address."""
        assert isinstance(self.broker, EmbeddedBroker)
        os.kill(self.broker.server.pid, signal.SIGKILL)
        self.broker.stop()

    def restart_broker(self) -> None:
        """Kill the broker and start it again on the same data and address."""
        self.kill_broker()
        self.revive_broker()

    def revive_broker(self) -> None:
        """Start the broker that was killed."""
        self.broker = find_broker(self.folder / "broker", listen=self._listen)

    def payloads(self) -> list[str]:
        """Names of the payloads that wait in shared memory of any host, and in the broker if it answers."""
        files = [str(path.relative_to(self.folder)) for path in self.folder.glob("run*/blobs/*")]
        try:
            return files + [key.decode() for key in self.redis.scan_iter(self.queue.keys.blob("*"))]
        except AWAY:
            return files

    def lasting_keys(self) -> list[str]:
        """Keys of the broker that would stay for ever and are not on the list of permanent ones."""
        try:
            return leaked_keys(self.queue)
        except AWAY:
            return []

    def stop(self) -> None:
        """Stop every process; a warm shutdown that hangs fails the test."""
        started = [*self.webs.values(), *self.workers, *self.gateways, *self.nurseries]
        for process in started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(PATIENCE)


@contextmanager
def farm(folder: Path, listen: Listen | None = None) -> Iterator[Farm]:
    """A farm that leaves nothing behind, no process, payload or key that stays for ever, which is checked.

    With `listen`, other hosts reach its broker.
    """
    before = {process.pid for process in psutil.process_iter()}
    made = Farm(find_broker(folder / "broker", listen=listen), folder, listen)
    _farms.append(made)
    try:
        yield made
        expect_nothing_left()
    finally:
        _farms.remove(made)
        made.stop()
        left = made.payloads(), made.lasting_keys()
        made.redis.close()
        made.broker.stop()
    wait_until(lambda: not leftovers(before, folder), otherwise=lambda: leftovers(before, folder))
    assert left == ([], [])


#: Those that run now.
_farms: list[Farm] = []


@contextmanager
def configured_farm(folder: Path, text: str) -> Iterator[Farm]:
    """A farm with this `farm.toml`."""
    (folder / settings.FILE).write_text(text)
    with pytest.MonkeyPatch.context() as patch, farm(folder) as made:
        patch.setenv(settings.VARIABLE, str(folder / settings.FILE))
        yield made


def expect_nothing_left() -> None:
    """Fail unless every payload of the farms that run is discarded in a moment, and each key has a lifetime."""
    for each in _farms:
        wait_until(lambda each=each: not each.payloads(), otherwise=each.payloads)  # type: ignore[misc]
        wait_until(lambda each=each: not each.lasting_keys(), otherwise=each.lasting_keys)  # type: ignore[misc]


def leftovers(before: set[int], folder: Path) -> list[str]:
    """Processes of a farm in this folder that were not there before, as text."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.pid not in before and is_of(process, folder)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def is_of(process: psutil.Process, folder: Path) -> bool:
    """Whether a process belongs to the farm in this folder; tests of several run at once. Raises psutil.Error."""
    return str(folder) in " ".join([*process.cmdline(), *_values(process)])


@cache
def _python_of_spaces() -> tuple[Path, dict[str, str]]:
    """What Spaces run with: as the tests do, or with that Gradio in an environment of their own."""
    if not GRADIO:
        return Path(sys.executable), {}
    state_dir = Path(tempfile.gettempdir(), "zerofarm-test-gradio")
    folder = state_dir / f"gradio-{GRADIO}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").touch()
    (folder / "requirements.txt").write_text(f"gradio=={GRADIO}\n")
    own = prepare(Source(folder / "app.py"), state_dir, print)
    return own.python, dict(own.variables)


#: Each process that runs tests has so many ports of its own.
PORTS = 100


@cache
def _own_ports() -> Iterator[int]:
    """Ports below those that farms choose, in turns, and apart from those of all other processes that run tests here.

    A page listens some seconds after its port was chosen: until then nobody else may take it.
    """
    first = next(each for each in range(10_000, 20_000, PORTS) if _is_ours(each))
    return cycle(range(first, first + PORTS))


def _is_ours(first: int) -> bool:
    """Whether the ports from this one on are for this process, which keeps their name until it ends."""
    with socket.socket(socket.AF_UNIX) as name, suppress(OSError):
        name.bind(f"\0zerofarm-test-ports-{first}")
        name.detach()
        return True
    return False


def free_port() -> int:
    """A port of this host that nothing listens at."""
    while True:
        with suppress(PortError):
            return Ports("127.0.0.1").exactly(next(_own_ports()), "--port")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def _values(process: psutil.Process) -> list[str]:
    return list(process.environ().values())


def _functions(app_file: Path) -> list[FunctionRecord]:
    """The decorated functions of a script, read off its text: the tests' own process must not run it."""
    found = []
    for node in ast.parse(app_file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
            yields = any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(node))
            found.append(FunctionRecord(FunctionName("__main__", node.name), _duration(node), "large", yields))
    return found


def _duration(node: ast.FunctionDef | ast.AsyncFunctionDef) -> float | None:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call):
            for keyword in decorator.keywords:
                if keyword.arg == "duration":
                    return float(ast.literal_eval(keyword.value))
    return 60.0


_WORKER = """
import logging, os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
import psutil
from spaces_workers.gpu import probe
from spaces_workers.gpu.devices import discover, parse_gpus, standin
from spaces_workers.worker.main import WorkerOptions, run_worker

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
match os.environ["TEST_GPU"]:
    case "none":
        device = standin(0)
    case "broken":
        device = replace(standin(0), kind="gpu")
        answers = iter([""])
        probe.problem_of = lambda _: next(answers, "it has fallen off the bus")
    case uuid:
        [device] = parse_gpus(uuid, discover())
if host := os.environ["TEST_HOST_BYTES"]:
    def read():
        size = int(Path(host).read_text())
        return SimpleNamespace(total=size, available=size)
    psutil.virtual_memory = read
options = WorkerOptions(
    url=os.environ["ZEROFARM_URL"],
    device=device,
    memory_fraction=float(os.environ["TEST_MEMORY_FRACTION"]),
    state_dir=Path(os.environ["TEST_STATE_DIR"]),
    farm_key=bytes.fromhex(os.environ["ZEROFARM_KEY"]),
    name=os.environ["TEST_WORKER_NAME"],
)
raise SystemExit(run_worker(options))
"""


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0
