"""The fork server: which Spaces may be forked, and that a fork is like a process that was started by itself."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from spaces.farm.queue import settings
from spaces_workers.forkserver import client, libraries
from spaces_workers.forkserver.client import ForkedProcess
from spaces_workers.forkserver.libraries import Library, Preloaded, Preloading, observed_environment
from spaces_workers.forkserver.plain_start import named_libraries, plain_reason
from spaces_workers.forkserver.requests import Request, forkable
from spaces_workers.link.channel import Channel
from spaces_workers.link.die_with_starter import tied
from spaces_workers.link.kill_on_close import Bond
from spaces_workers.link.messages import Spawn
from spaces_workers.setup import process_environment
from spaces_workers.up.log_tail import LogTail
from spaces_workers.up.process import Command, Process
from spaces_workers.up.process import Fork as Forked
from spaces_workers.up.readiness import listens
from tests.waiting import PATIENCE, wait_until

# --- which Spaces may be forked

PRELOADED = Preloaded(
    {"HF_ENDPOINT": "https://hub"},
    frozenset({"torch", "diffusers"}),
    {"HF_ENDPOINT", "HF_HOME", "HF_TOKEN", "TORCH_LOGS"},
)


def space(folder: Path, script: str = "import torch", **files: str) -> Path:
    """A Space in a folder of its own; returns its script."""
    (folder / "app.py").write_text(script)
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "app.py"


def test_a_space_like_others_may_be_forked(tmp_path: Path) -> None:
    text = "import os, torch\nos.environ['HF_HOME'] = os.environ['HF_TOKEN'] = os.environ.get('MINE')"
    script = space(tmp_path, text, helper="# TORCH_LOGS")
    assert plain_reason(script, {"HF_ENDPOINT": "https://hub", "MINE": "x"}, PRELOADED) == ""


@pytest.mark.parametrize(
    ("script", "files", "environment", "words"),
    [
        ("", {}, {"HF_ENDPOINT": "https://other"}, "the variable HF_ENDPOINT"),
        ("", {}, {"OMP_PROC_BIND": "true"}, "the variable OMP_PROC_BIND"),
        ("import os\nos.environ['TORCH_LOGS'] = '+dynamo'", {}, {}, "the variable TORCH_LOGS"),
        ("import os\nos.environ.update(TORCH_LOGS='+dynamo')", {}, {}, "the variable TORCH_LOGS"),
        ("", {"settings": "import os\nos.environ.setdefault('TORCH_LOGS', 'dynamo')"}, {}, "the variable TORCH_LOGS"),
        ("", {"diffusers": ""}, {}, "has the name of the library diffusers"),
        ("", {"vendored/diffusers/__init__": ""}, {}, "has the name of the library diffusers"),
        ("import os\nos.system('pip install einops')", {}, {}, "installs packages"),
        ("import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])", {}, {}, "installs"),
    ],
)
def test_a_space_that_could_notice_is_started_the_plain_way(
    tmp_path: Path, script: str, files: dict[str, str], environment: dict[str, str], words: str
) -> None:
    reason = plain_reason(space(tmp_path, script, **files), {"HF_ENDPOINT": "https://hub"} | environment, PRELOADED)
    assert words in reason


def test_a_space_that_the_operator_has_excepted_is_started_the_plain_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "farm.toml"
    rules.write_text("[spaces.excepted]\npreload = false\n")
    monkeypatch.setenv(settings.VARIABLE, str(rules))
    log = tmp_path / "log"
    spawn = Spawn(str(space(tmp_path)), (("ZEROFARM_SPACE", "excepted"),), str(log), is_zygote=True)
    assert client.fork(tmp_path / "no-socket", spawn, 0) is None
    assert "farm.toml has preload = false under [spaces.excepted]" in log.read_text()


def test_the_variables_that_an_import_reads_are_noted_but_not_those_that_it_copies() -> None:
    with observed_environment() as read:
        os.environ.get("ASKED")
        os.getenv("ASKED_TOO")
        assert "HOME" in dict(os.environ)
        assert os.environ.copy()
        "CONTAINED" in os.environ  # noqa: B015
    assert read == {"ASKED", "ASKED_TOO", "CONTAINED"}
    os.environ.get("LATER")
    assert "LATER" not in read


def test_what_every_space_needs_exists() -> None:
    for module in libraries.OURS:
        importlib.import_module(module)


def test_the_libraries_come_first_for_which_a_space_waits_that_needs_the_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All Spaces waited until all libraries were imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("torch_", "page_", "models_", "pictures_"):
        (tmp_path / f"{name}.py").touch()
    seconds = {"torch_": 1.0, "page_": 1.0, "models_": 1.0, "pictures_": 3.0, "absent_": 1.0}
    preloading = Preloading([Library(name, (name,), each, 0) for name, each in seconds.items()])
    waiting = [{"torch_", "pictures_"}, {"torch_", "models_", "absent_"}]
    order = []
    while preloading.import_next([named for named in waiting if preloading.missing(named)]):
        order.append([library.name for library in preloading.missing(set(seconds))])
    assert order == [
        ["page_", "models_", "pictures_"],
        ["page_", "pictures_"],
        ["page_"],
        [],
    ]
    assert preloading.preloaded.modules >= {"torch_", "page_", "models_", "pictures_"}


def test_zygotes_are_forked_once_all_pages_could_be() -> None:
    """A zygote that began at once took its core from the imports for which other pages waited."""
    preloading = Preloading([Library("json", ("json",), 1, 0), Library("decimal", ("decimal",), 1, 0)])
    with socket.socket() as sock:
        starter = Channel(sock)
        page, zygote = (Request(starter, Spawn("", (), "", each), 0, frozenset()) for each in (False, True))
        assert forkable([zygote, page], preloading) == [page]
        while preloading.import_next():
            assert forkable([zygote, page], preloading) == [page]
        assert forkable([zygote, page], preloading) == [zygote, page]


def test_a_space_s_files_tell_which_libraries_it_waits_for(tmp_path: Path) -> None:
    script = space(tmp_path, "import torch\nfrom parts import pipe", parts="from diffusers import DiffusionPipeline")
    assert named_libraries(script) == {"torch", "diffusers"}
    waits_for = {library.name for library in Preloading().missing({"diffusers"})}
    assert waits_for >= {"torch", "transformers", "accelerate", "diffusers"}
    assert "gradio" not in waits_for


# --- a fork


def environment_of_tests() -> dict[str, str]:
    """Without what scikit-learn has set, where a test of this process has imported it."""
    return {name: value for name, value in process_environment.of_fork_server().items() if not name.startswith("KMP_")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fork server with the smallest library, at a socket."""
    folder = tmp_path_factory.mktemp("server")
    with (folder / "log").open("ab") as log:
        command = tied(client.command(folder / "socket"))
        process = subprocess.Popen(
            command, env=environment_of_tests(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    wait_until(lambda: listens(folder / "socket"))
    yield folder / "socket"
    process.terminate()
    process.wait(PATIENCE)


Fork = Callable[..., tuple[ForkedProcess, Bond, Path]]


@pytest.fixture
def fork(server: Path, tmp_path: Path) -> Iterator[Fork]:
    bonds = []

    def forked(script: str, **variables: str) -> tuple[ForkedProcess, Bond, Path]:
        (tmp_path / "app.py").write_text(script)
        environment = environment_of_tests() | {"ZEROFARM_ROLE": "worker"} | variables
        bond, log = Bond(), tmp_path / "log"
        spawn = Spawn(str(tmp_path / "app.py"), tuple(environment.items()), str(log), is_zygote=False)
        process = client.fork(server, spawn, bond.fileno())
        assert process is not None, log.read_text()
        bond.given()
        bonds.append(bond)
        return process, bond, log

    yield forked
    for bond in bonds:
        bond.cut()


def test_a_fork_is_like_a_program_that_was_started_by_itself(fork: Fork, tmp_path: Path) -> None:
    script = f"""
import atexit, logging, os, random, signal, sys, tempfile, threading, warnings
atexit.register(lambda: print("exit handler"))
assert __name__ == "__main__" and __file__ == {str(tmp_path / "app.py")!r}, __file__
assert sys.argv == [__file__] and sys.path[0] == os.path.dirname(__file__)
assert os.getcwd() == os.path.dirname(__file__)
assert os.environ["MINE"] == "x" and "KMP_" + "DUPLICATE_LIB_OK" not in os.environ
assert threading.current_thread() is threading.main_thread() and threading.active_count() == 1
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
assert not logging.root.handlers and os.getsid(0) == os.getpid()
assert tempfile.gettempdir() == {str(tmp_path)!r}
open_files = [os.readlink(f"/proc/self/fd/{{fd}}") for fd in (0, 1, 2)]
assert open_files == ["/dev/null", {str(tmp_path / "log")!r}, {str(tmp_path / "log")!r}], open_files
threading.Thread(target=lambda: os.write(1, b"a thread that is no daemon\\n")).start()
import spaces, torch
os.write(1, f"drew {{random.random()}} {{torch.rand(1).item()}}\\n".encode())
"""
    process, _, log = fork(script, MINE="x", TMPDIR=str(tmp_path))
    assert process.wait(PATIENCE) == 0, log.read_text()
    first = log.read_text()
    assert "a thread that is no daemon\n" in first
    assert "exit handler\n" in first
    log.unlink()
    process, _, log = fork(script, MINE="x", TMPDIR=str(tmp_path))
    assert process.wait(PATIENCE) == 0, log.read_text()
    numbers = [line for line in first.splitlines() if line.startswith("drew")]
    assert numbers
    assert not set(numbers) & set(log.read_text().splitlines())


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        ("raise ValueError('by the author')", 1, "ValueError: by the author"),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('no weights')", 1, "no weights"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
    ],
)
def test_the_end_of_a_fork_is_told_as_it_was(fork: Fork, script: str, status: int, words: str) -> None:
    process, _, log = fork(script)
    assert process.wait(PATIENCE) == status
    assert words in log.read_text()


def test_the_end_of_a_fork_is_told_also_by_a_fork_server_that_is_busy(fork: Fork, tmp_path: Path) -> None:
    """A script that had raised "was killed by SIGKILL"."""
    forked, bond, _ = fork("raise ValueError('by the author')")
    fork_server = psutil.Process(forked.pid).parent()
    assert fork_server is not None
    fork_server.suspend()
    try:
        wait_until(lambda: psutil.Process(forked.pid).status() == psutil.STATUS_ZOMBIE)

        async def end() -> int:
            process = Process(Command([], {}, tmp_path / "log"), LogTail(tmp_path / "log"), process_of_up)
            await asyncio.sleep(3)
            fork_server.resume()
            return await process.ended()

        process_of_up = Forked(forked, bond)
        assert asyncio.run(end()) == 1
    finally:
        fork_server.resume()


def test_a_fork_dies_with_its_starter_and_with_everything_that_it_started(fork: Fork) -> None:
    process, bond, log = fork("import subprocess, time\nprint(subprocess.Popen(['sleep', '600']).pid)\ntime.sleep(600)")
    helper = int(wait_until(lambda: log.exists() and log.read_text().strip()))
    bond.cut()
    assert process.wait(PATIENCE) == -signal.SIGKILL
    wait_until(lambda: not psutil.pid_exists(helper) or psutil.Process(helper).status() == psutil.STATUS_ZOMBIE)


def test_a_fork_shows_its_script_as_its_command_line(fork: Fork, tmp_path: Path) -> None:
    process, _, _ = fork("import time\ntime.sleep(600)")
    wait_until(lambda: psutil.Process(process.pid).cmdline()[-1] == str(tmp_path / "app.py"))
    process.kill()
    assert process.wait(PATIENCE) == -signal.SIGKILL


def test_a_fork_shows_its_own_environment(fork: Fork) -> None:
    """It showed that of the fork server, in which no Space is named."""
    process, _, _ = fork("import time\ntime.sleep(600)", ZEROFARM_SPACE="mine")
    wait_until(lambda: psutil.Process(process.pid).environ().get("ZEROFARM_SPACE") == "mine")
    shown = psutil.Process(process.pid).environ()
    assert shown["ZEROFARM_ROLE"] == "worker"
    assert shown.items() <= (environment_of_tests() | {"ZEROFARM_ROLE": "worker", "ZEROFARM_SPACE": "mine"}).items()
    process.kill()
    assert process.wait(PATIENCE) == -signal.SIGKILL


def test_one_space_s_changes_are_not_seen_by_another(fork: Fork) -> None:
    process, _, log = fork("import torch, gradio\ntorch.mine = gradio.mine = 1\ntorch.set_default_dtype(torch.float64)")
    assert process.wait(PATIENCE) == 0, log.read_text()
    script = "import torch, gradio\nassert not hasattr(torch, 'mine') and not hasattr(gradio, 'mine')"
    process, _, log = fork(f"{script}\nassert torch.get_default_dtype() is torch.float32")
    assert process.wait(PATIENCE) == 0, log.read_text()


def test_a_fork_finds_no_trace_of_what_was_done_ahead(fork: Fork) -> None:
    script = """
import logging
import gradio, torch
from gradio.context import Context
assert Context.id == 0 and Context.root_block is None, Context.id
with gradio.Blocks() as page:
    assert gradio.Textbox()._id == 1
assert logging.root.level == logging.WARNING and not logging.root.handlers
assert torch.initial_seed() != 0 and torch.get_default_dtype() is torch.float32
"""
    process, _, log = fork(script)
    assert process.wait(PATIENCE) == 0, log.read_text()


def test_a_fork_copies_little_of_the_memory_that_it_shares(fork: Fork) -> None:
    """To look at the names of all modules alone copied 11 MB, and a page built its tables once more."""
    script = """
import psutil
import gradio
from gradio.routes import App
with gradio.Blocks() as page:
    gradio.Textbox()
App.create_app(page)
print(psutil.Process().memory_full_info().uss)
"""
    process, _, log = fork(script)
    assert process.wait(PATIENCE) == 0, log.read_text()
    assert int(log.read_text()) < 40e6


def test_the_modules_of_a_space_are_told_from_those_of_the_fork_server(fork: Fork, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import second")
    (tmp_path / "second.py").write_text("")
    script = """
import own
from pathlib import Path
from spaces.farm.values import preloaded_modules
from spaces.farm.values.references import space_modules
since = preloaded_modules.modules_since()
assert since.index("second") < since.index("own"), since
assert "torch" not in since and "os" not in since, since
assert [module.__name__ for module in space_modules(Path.cwd())()] == ["__main__", "second", "own"]
"""
    process, _, log = fork(script)
    assert process.wait(PATIENCE) == 0, log.read_text()


HUB = """
import huggingface_hub.constants as hub
import diffusers.utils.constants, diffusers.utils.hub_utils, huggingface_hub, transformers.utils, transformers.utils.hub
print({name: value for name, value in vars(hub).items() if name.isupper() and isinstance(value, str | int)})
print(huggingface_hub.is_offline_mode(), diffusers.utils.hub_utils.HF_HUB_OFFLINE)
modules = "HF_" + "MODULES_CACHE"  # Spaces that name this variable are not forked
print([getattr(each, modules) for each in (transformers.utils, transformers.utils.hub, diffusers.utils.constants)])
"""

UPLOADS = """
import gradio.routes
print(gradio.utils.get_upload_folder(), gradio.routes.DEFAULT_TEMP_DIR)
"""

THREADS = """
import numpy, torch
from threadpoolctl import threadpool_info
print(torch.get_num_threads(), {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
"""

PARALLEL = """
import psutil
from tokenizers import Tokenizer, models
before = psutil.Process().num_threads()
Tokenizer(models.WordLevel({"a": 0}, "a")).encode_batch(["a"] * 1000)
print(psutil.Process().num_threads() > before)
"""

#: Variables that go together, because libraries read them in the same module.
OF_THE_HUB = {
    "HF_HUB_CACHE": "/elsewhere",
    "HF_HUB_OFFLINE": "1",
    "HF_XET_HIGH_PERFORMANCE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "0",
}

#: A variable that a script sets before its imports, another value than is usual, and how to see its effect.
VARIABLES = {
    "HF_HOME": ("/elsewhere", HUB),
    "HF_HUB_ENABLE_HF_TRANSFER": ("1", HUB),
    "HF_HUB": ("1", f"os.environ.update({OF_THE_HUB})\n{HUB}"),
    "HF_TOKEN": ("hf_mine", "import huggingface_hub\nprint(huggingface_hub.get_token())"),
    "OMP_NUM_THREADS": ("1", THREADS),
    "MKL_NUM_THREADS": ("1", THREADS),
    "OPENBLAS_NUM_THREADS": ("1", THREADS),
    "TRANSFORMERS_VERBOSITY": ("error", "import transformers\nprint(transformers.logging.get_verbosity())"),
    "DIFFUSERS_VERBOSITY": ("error", "import diffusers\nprint(diffusers.logging.get_verbosity())"),
    "TOKENIZERS_PARALLELISM": ("true", PARALLEL),
    "CUDA_VISIBLE_DEVICES": ("1,2", "import torch\nprint(torch.cuda._parse_visible_devices())"),
    "TORCH_HOME": ("/elsewhere", "import torch\nprint(torch.hub.get_dir())"),
    "GRADIO_TEMP_DIR": ("/elsewhere", UPLOADS),
    "MPLBACKEND": ("svg", "import matplotlib\nprint(matplotlib.get_backend())"),
    "TMPDIR": ("/dev/shm", "import tempfile\nprint(tempfile.gettempdir())"),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_that_a_script_sets_before_its_imports_takes_effect(
    fork: Fork, tmp_path: Path, variable: str
) -> None:
    """In a fork the libraries are there already, and have read it."""
    value, shown = VARIABLES[variable]
    if "matplotlib" in shown:
        pytest.importorskip("matplotlib")
    process, _, log = fork(f"import os\nos.environ[{variable!r}] = {value!r}\n{shown}")
    assert process.wait(PATIENCE) == 0, log.read_text()
    command = [sys.executable, "-m", "spaces.script", str(tmp_path / "app.py")]
    environment = environment_of_tests() | {"ZEROFARM_ROLE": "worker"}
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert printed(log.read_text()) == printed(plain.stdout)
    if variable != "HF_HUB_ENABLE_HF_TRANSFER":  # which only warns, in both
        log.unlink()
        process, _, log = fork(shown.replace("os.environ.update", ""))
        assert process.wait(PATIENCE) == 0, log.read_text()
        assert printed(log.read_text()) != printed(plain.stdout)


def printed(log: str) -> list[str]:
    """What a script has printed, without warnings of libraries."""
    return [line for line in log.splitlines() if line and "arning" not in line and not line.startswith(" ")]


def test_a_fork_starts_in_a_fraction_of_the_time_of_an_import(fork: Fork) -> None:
    """Not by the clock: by the processor's time, which another load does not change much."""
    script = "import time, torch, gradio, diffusers, transformers\nprint(time.process_time())"
    process, _, log = fork(script)
    assert process.wait(PATIENCE) == 0
    ours = float(log.read_text())
    plain = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert ours < float(plain) / 3


def test_where_no_fork_server_answers_the_plain_way_is_taken(tmp_path: Path) -> None:
    bond = Bond()
    spawn = Spawn("app.py", (), str(tmp_path / "log"), is_zygote=False)
    began = time.monotonic()
    assert client.fork(tmp_path / "none", spawn, bond.fileno()) is None
    assert time.monotonic() - began < 5.0
    bond.given()
    bond.cut()
