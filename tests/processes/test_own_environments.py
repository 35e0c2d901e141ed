"""Spaces with environments of their own as forks of the fork server, made by the real uv from wheels in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spaces_workers.forkserver import client
from spaces_workers.forkserver.libraries import Library, preload
from spaces_workers.forkserver.own_environment import plain_reason
from spaces_workers.isolation import SpaceEnvironment
from spaces_workers.link.die_with_starter import tied
from spaces_workers.link.kill_on_close import Bond
from spaces_workers.link.messages import Spawn
from spaces_workers.setup import process_environment
from tests.processes.test_isolation import Make, make, wheel, wheels
from tests.waiting import PATIENCE, START_PATIENCE, wait_until

__all__ = ["make", "wheels"]  # fixtures

LOOKS_AROUND = """
import importlib.metadata, multiprocessing, os, subprocess, sys, sysconfig
import tidbit
import spaces, torch, gradio
root = os.environ["VIRTUAL_ENV"]
assert sys.prefix == sys.exec_prefix == root, sys.prefix
assert sys.executable == os.path.join(root, "bin", "python")
assert tidbit.__file__.startswith(root), tidbit.__file__
assert tidbit.__version__ == "1.0" == importlib.metadata.version("tidbit")
assert importlib.metadata.version("torch") == torch.__version__
assert sysconfig.get_path("purelib") in sys.path
assert sys.path[1].endswith("/ours"), sys.path
assert not [entry for entry in sys.path if "site-packages" in entry and not entry.startswith(root)], sys.path
ours = "import sys; sys.path.pop(0); print(sys.path, sys.prefix)"
plain = subprocess.run([sys.executable, "-c", ours], capture_output=True, text=True, check=True).stdout
assert plain.split() == f"{sys.path[1:]} {sys.prefix}".split(), (plain, sys.path)
print("all as in an interpreter of its own")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With all libraries: before, it forks Spaces that have other versions of what it has not imported yet."""
    folder = tmp_path_factory.mktemp("server")
    environment = {name: v for name, v in process_environment.of_fork_server().items() if not name.startswith("KMP_")}
    with (folder / "log").open("ab") as log:
        command = tied(client.command(folder / "socket"))
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_until(lambda: "modules are imported" in (folder / "log").read_text(), START_PATIENCE)
    yield folder / "socket"
    process.terminate()
    process.wait(PATIENCE)


@pytest.fixture
def run(server: Path, tmp_path: Path) -> Callable[[SpaceEnvironment, str], str]:
    """Forks a script in an environment; returns what it wrote, or why it was not forked."""

    def ran(environment: SpaceEnvironment, script: str) -> str:
        app_file, log = tmp_path / "demo" / "app.py", tmp_path / "log"
        app_file.write_text(script)
        variables = process_environment.of_fork_server() | environment.variables | {"ZEROFARM_ROLE": "worker"}
        variables = {name: value for name, value in variables.items() if not name.startswith("KMP_")}
        bond = Bond()
        spawn = Spawn(str(app_file), tuple(variables.items()), str(log), False, python=str(environment.python))
        process = client.fork(server, spawn, bond.fileno())
        bond.given()
        if process is not None:
            process.wait(PATIENCE)
        bond.cut()
        return log.read_text()

    return ran


def test_a_fork_has_the_packages_and_the_interpreter_of_its_space(
    make: Make, run: Callable[[SpaceEnvironment, str], str]
) -> None:
    assert run(make("tidbit"), LOOKS_AROUND) == "all as in an interpreter of its own\n"


def test_a_space_that_has_another_version_of_what_is_in_memory_imports_it_itself(
    make: Make, wheels: Path, run: Callable[[SpaceEnvironment, str], str]
) -> None:
    wheel(wheels, "einops", "99.0")
    wheel(wheels, "safetensors", "99.0")
    words = run(make("safetensors==99.0"), "import safetensors")
    assert "imports its libraries itself" in words
    assert "safetensors" in words


def test_a_space_that_has_what_a_library_looked_for_in_vain_imports_it_itself(make: Make, wheels: Path) -> None:
    """transformers and diffusers keep what they found of others while they were imported."""
    (wheels.parent / "looking.py").write_text("try:\n    import tidbit\nexcept ImportError:\n    tidbit = None\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(wheels.parent))
        preloaded = preload([Library("looking", ("looking",), 0.0, 0)])
    assert "tidbit" in preloaded.missed
    environment = make("tidbit")
    assert "look for tidbit" in plain_reason(environment.python, preloaded)
    preloaded.missed.clear()
    assert plain_reason(environment.python, preloaded) == ""


def test_another_interpreter_is_not_taken_for_the_farm_s(tmp_path: Path) -> None:
    assert "interpreter of its own" in plain_reason(tmp_path / "bin" / "python", preload([]))
