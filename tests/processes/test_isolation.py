"""Environments of Spaces, made by the real uv from wheels that lie in a folder: no test needs the network."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import spaces
from spaces.farm.values.signing import derive_space_key
from spaces.source import Source
from spaces_workers.doctor.space import examine_space
from spaces_workers.isolation import IsolationError, SpaceEnvironment, farm_environment, prepare
from spaces_workers.setup import process_environment
from spaces_workers.setup.served_space import served_space
from tests.harness import FARM_KEY, SPACES, Farm
from tests.waiting import PATIENCE, wait_until

Make = Callable[..., SpaceEnvironment]


def wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    """A wheel of one module that knows its version."""
    info = f"{name}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {n}" for n in needs),
    ]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"__version__ = {version!r}\n")
        archive.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only source of packages."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel(folder, "humanize", "0.0.1")
    wheel(folder, "tidbit", "1.0")
    for variable, value in {
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(folder),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
    }.items():
        monkeypatch.setenv(variable, value)
    return folder


@pytest.fixture
def make(tmp_path: Path, wheels: Path) -> Make:
    """Prepares the environment of a Space called `demo` from the text of its files."""

    def prepared(requirements: str = "", readme: str = "", log: Callable[[str], None] = print) -> SpaceEnvironment:
        space = tmp_path / "demo"
        space.mkdir(exist_ok=True)
        (space / "app.py").write_text("")
        (space / "requirements.txt").write_text(requirements)
        (space / "README.md").write_text(f"---\n{readme}\n---\n")
        return prepare(Source(space / "app.py"), tmp_path / "state", log)

    return prepared


def value(environment: SpaceEnvironment, code: str) -> str:
    """What an expression is in a process of this environment, `importlib.util` being imported."""
    program = f"import importlib.util, importlib.metadata as metadata; print({code})"
    return output([str(environment.python), "-c", program], environment)


def output(command: list[str], environment: SpaceEnvironment) -> str:
    """The standard output of a command in this environment."""
    variables = os.environ | environment.variables
    return subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def version(environment: SpaceEnvironment, module: str) -> str:
    return value(environment, f"__import__({module!r}).__version__")


def origin(environment: SpaceEnvironment, module: str) -> Path:
    return Path(value(environment, f"importlib.util.find_spec({module!r}).origin"))


# --- in the processes of a farm


def test_web_process_and_zygote_have_the_space_s_own_packages_and_the_farm_s_torch(
    own_farm: Farm, wheels: Path, tmp_path: Path
) -> None:
    script = SPACES / "isolated" / "app.py"
    own = prepare(Source(script), own_farm.state_dir, print)

    key = derive_space_key(FARM_KEY, "isolated")
    variables = process_environment.of_web("isolated", own_farm.broker.url, key, ("127.0.0.1", 0)) | own.variables
    command = [str(own.python), "-m", "spaces.script", str(script)]
    web = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    in_web = json.loads(web.stdout)

    record = replace(own_farm.register("isolated"), python=str(own.python))
    own_farm.registry.register(record, None)
    own_farm.start_worker()
    with own_farm.client("isolated") as client:
        in_zygote = client.submit("isolated", "seen").result(timeout=PATIENCE)

    assert in_zygote == in_web
    assert in_web["humanize"] == "0.0.1"
    assert in_web["python"] == str(own.python)
    assert Path(in_web["tidbit"]).is_relative_to(own.python.parent.parent)
    assert in_web["spaces"] == os.path.realpath(spaces.__file__)
    farms_torch = subprocess.run(
        [sys.executable, "-c", "import importlib.util; print(importlib.util.find_spec('torch').origin)"],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.strip()  # fmt: skip
    assert in_web["torch"] == os.path.realpath(farms_torch)


def test_the_launcher_prepares_and_becomes_the_web_process(wheels: Path, tmp_path: Path) -> None:
    space = tmp_path / "demo"
    space.mkdir()
    (space / "requirements.txt").write_text("humanize==0.0.1\n")
    (space / "app.py").write_text("import os, humanize\nprint('pid', os.getpid(), humanize.__version__)\n")
    command = [sys.executable, "-m", "spaces_workers.isolation", "--state-dir", str(tmp_path), str(space / "app.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate()
    assert re.fullmatch(r"\d\d:\d\d:\d\d - demo: making its environment", said.splitlines()[0])
    assert said.splitlines()[-1] == f"pid {process.pid} 0.0.1"
    assert process.returncode == 0


# --- what is installed


def test_without_isolation_a_space_runs_in_the_farm_s_environment() -> None:
    assert farm_environment() == SpaceEnvironment(Path(sys.executable), {}, ())


def test_a_space_that_asks_for_nothing_new_downloads_nothing(make: Make) -> None:
    own = make("torch\ngradio\nnumpy\n")
    assert own.notes == ()
    assert value(own, "metadata.version('torch')") == value(farm_environment(), "metadata.version('torch')")
    assert origin(own, "gradio").resolve() == origin(farm_environment(), "gradio").resolve()


def test_spaces_is_the_farm_s_whoever_asks_for_another(make: Make, wheels: Path) -> None:
    wheel(wheels, "spaces", "0.30.0")
    wheel(wheels, "helper", "1.0", "spaces>=0.20")
    own = make("spaces==0.30.0\nhelper\n")
    assert version(own, "spaces") == spaces.__version__
    assert version(own, "helper") == "1.0"
    output(
        [str(own.python), "-c", "import spaces.web.client, spaces_workers.zygote.main"],
        own,
    )


def test_a_requirement_that_cannot_be_had_is_named_and_leaves_nothing(make: Make, tmp_path: Path) -> None:
    with pytest.raises(
        IsolationError, match=r"of Space 'demo' cannot be installed \(no-such-thing==1.0\):\nerror: No s"
    ):
        make("humanize==0.0.1\nno-such-thing==1.0\n")
    assert [path for path in (tmp_path / "state" / "environments").iterdir() if path.is_dir()] == []


def test_a_requirement_that_cannot_be_read_is_shown(make: Make) -> None:
    with pytest.raises(IsolationError, match="some garbage here"):
        make("some garbage here\n")


def test_the_gradio_that_the_readme_names_is_installed(make: Make, wheels: Path) -> None:
    wheel(wheels, "gradio", "5.9.9")
    own = make(readme="sdk_version: 5.9.9")
    assert version(own, "gradio") == "5.9.9"
    assert own.notes == ()


def test_a_gradio_that_cannot_be_had_gives_way_to_the_farm_s_with_a_warning(make: Make) -> None:
    heard: list[str] = []
    own = make(readme="sdk_version: 4.1.0", log=heard.append)
    assert origin(own, "gradio").resolve() == origin(farm_environment(), "gradio").resolve()
    assert any("Gradio 4.1.0, which README.md names, could not be installed" in line for line in heard)
    assert any("another major version" in note for note in own.notes)


def test_gradio_in_the_requirements_goes_before_the_readme_s(make: Make, wheels: Path) -> None:
    wheel(wheels, "gradio", "5.9.8")
    wheel(wheels, "gradio", "5.9.9")
    own = make("gradio==5.9.8", readme="sdk_version: 5.9.9")
    assert version(own, "gradio") == "5.9.8"
    assert own.notes == ("README.md names Gradio 5.9.9, but requirements.txt decides: it runs with 5.9.8",)


def test_the_farm_s_code_keeps_its_own_packages_where_a_space_pins_what_it_cannot_use(make: Make, wheels: Path) -> None:
    wheel(wheels, "msgpack", "0.0.1")
    own = make("msgpack==0.0.1\nhumanize==0.0.1\n")
    output([str(own.python), "-c", "import spaces.farm.wire, msgpack; msgpack.packb(1)"], own)
    assert version(own, "humanize") == "0.0.1"
    assert any("instead of 0.0.1" in note and "msgpack" in note for note in own.notes)


def test_a_package_of_the_farm_that_does_not_go_with_a_pin_is_hidden(make: Make, wheels: Path) -> None:
    wheel(wheels, "pluggy", "0.0.1")
    own = make("pluggy==0.0.1\n")
    assert version(own, "pluggy") == "0.0.1"
    assert value(own, "importlib.util.find_spec('hatchling')") == "None"  # it needs pluggy>=1
    assert value(own, "importlib.util.find_spec('rich') is not None") == "True"
    assert any("hatchling" in note for note in own.notes)


def test_a_torch_that_the_farm_s_cannot_stand_in_for_is_the_space_s_own(make: Make, wheels: Path) -> None:
    wheel(wheels, "torch", "2.8.0")
    own = make("torch==2.8.0\n")
    assert version(own, "torch") == "2.8.0"
    assert any("it has torch 2.8.0" in note for note in own.notes)


def test_a_package_that_would_bring_another_torch_is_had_for_the_farm_s(make: Make, wheels: Path) -> None:
    farms = value(farm_environment(), "metadata.version('torch')")
    wheel(wheels, "torch", "99.0")
    wheel(wheels, "vision", "2.0", "torch==99.0")
    wheel(wheels, "vision", "1.0", f"torch=={farms.partition('+')[0]}")
    own = make("vision\n")
    assert (version(own, "vision"), value(own, "metadata.version('torch')")) == ("1.0", farms)


# --- when it is made


def test_an_environment_is_kept_while_nothing_changes(make: Make) -> None:
    first = make("humanize==0.0.1\n")
    heard: list[str] = []
    assert make("humanize==0.0.1\n", log=heard.append) == first
    assert heard == []
    assert make("humanize\n").python != first.python
    assert first.python.exists()


def test_two_processes_make_an_environment_once(make: Make, tmp_path: Path) -> None:
    heard: list[str] = []
    with ThreadPoolExecutor(2) as both:
        first, second = (both.submit(make, "humanize==0.0.1\n", "", heard.append) for _ in range(2))
    assert first.result() == second.result()
    assert heard.count("demo: making its environment") == 1


def test_what_was_left_half_made_is_neither_used_nor_kept(make: Make, tmp_path: Path) -> None:
    own = make("humanize==0.0.1\n").python.parent.parent
    (own / "notes.json").unlink()  # what is written last
    half = own.with_name(f".{own.name}~1234")
    half.mkdir()
    assert version(make("humanize==0.0.1\n"), "humanize") == "0.0.1"
    make("humanize\n")
    assert not half.exists()


def test_an_environment_that_has_lost_the_farm_s_package_is_told_by_doctor_and_made_anew(
    make: Make, tmp_path: Path
) -> None:
    """Its links dangle once the farm's own environment has moved; Gradio would run without `spaces`."""
    own = make("humanize==0.0.1\n")
    served = served_space(tmp_path / "demo")
    (finding,) = examine_space(served, tmp_path / "state")
    assert (finding.status, finding.message) == (
        "ok",
        f"can import spaces, and finds what app.py imports, with {own.python}",
    )

    ours = own.python.parent.parent / "ours" / "spaces"
    ours.unlink()
    ours.symlink_to(tmp_path / "nowhere")
    (finding,) = examine_space(served, tmp_path / "state")
    assert finding.status == "problem"
    assert finding.message == f"fails in {own.python}: ModuleNotFoundError: No module named 'spaces' (found: nothing)"
    assert finding.remedy == f"Remove {own.python.parent.parent}: the next start of the Space makes another"
    assert version(make("humanize==0.0.1\n"), "spaces") == spaces.__version__


# --- pip at import


@pytest.mark.parametrize("pip", [["python", "-m", "pip"], ["pip"]], ids=" ".join)
def test_pip_is_confined_to_the_environment(make: Make, pip: list[str]) -> None:
    before = value(farm_environment(), "metadata.version('humanize')")
    own = make()
    output(["/bin/sh", "-c", " ".join([*pip, "install", "--quiet", "tidbit", "humanize==0.0.1"])], own)
    assert (version(own, "tidbit"), version(own, "humanize")) == ("1.0", "0.0.1")
    assert value(farm_environment(), "metadata.version('humanize')") == before
    assert origin(farm_environment(), "humanize").exists()


def test_pip_cannot_take_from_the_farm_s_code_what_it_needs(make: Make, wheels: Path) -> None:
    wheel(wheels, "msgpack", "0.0.1")
    own = make()
    with pytest.raises(subprocess.CalledProcessError):
        output(["pip", "install", "--quiet", "msgpack==0.0.1"], own)


def test_one_pip_waits_for_another(make: Make) -> None:
    own = make()
    with (own.python.parent.parent / "pip.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        variables = os.environ | own.variables
        with subprocess.Popen([own.python, "-m", "pip", "install", "--quiet", "tidbit"], env=variables) as process:
            wait_until(lambda: waits_for_a_lock(process.pid))
            fcntl.flock(lock, fcntl.LOCK_UN)
    assert process.returncode == 0
    assert version(own, "tidbit") == "1.0"


def waits_for_a_lock(pid: int) -> bool:
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and str(pid) in line.split() for line in locks)
