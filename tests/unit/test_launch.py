"""Options of a script's server that a farm does not support: the script runs without them, and its log says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spaces.role import Role
from spaces_workers.setup.ports import PortError, Ports
from tests.unit.test_in_effect import log_of, roles

SCRIPT = """
import spaces, uvicorn
@spaces.GPU
def f(): pass
config = uvicorn.Config(None, {options})
print(config.reload, config.workers)
"""


@roles
def test_a_reloader_and_workers_of_uvicorn_s_are_refused_aloud(tmp_path: Path, role: Role) -> None:
    """They were overruled in silence."""
    log = log_of(tmp_path, SCRIPT.format(options="reload=True, workers=4"), role)
    assert sorted(log.splitlines()) == [
        "False 1",
        "reload=True of uvicorn has no effect in a farm: one process serves a Space",
        "workers=4 of uvicorn has no effect in a farm: one process serves a Space",
    ]


@roles
def test_what_uvicorn_s_run_passes_on_of_itself_is_not_spoken_of(tmp_path: Path, role: Role) -> None:
    assert log_of(tmp_path, SCRIPT.format(options="reload=False, workers=None"), role) == "False 1\n"


NO_BROKER = """
import sys
from pathlib import Path
from spaces import script
from spaces.web import client

client.current_client = lambda: type("", (), {"serve_space": lambda self: None})()
script.run(Path(sys.argv[1]))
"""

GRADIO = """
import spaces, gradio as gr
@spaces.GPU
def f(): pass
with gr.Blocks() as demo:
    pass
_, url, _ = demo.launch(server_name="0.0.0.0", prevent_thread_lock=True, quiet=True)
print(url)
"""


@pytest.mark.parametrize(("host", "name"), [("::1", "[::1]"), ("127.0.0.1", "127.0.0.1")])
def test_gradio_answers_at_the_operator_s_address_of_either_kind(tmp_path: Path, host: str, name: str) -> None:
    """It said of `--host ::1` that there is no free port."""
    try:
        port = Ports(host).after(0)
    except PortError as error:
        pytest.skip(str(error))
    assert launched(tmp_path, GRADIO, host, port).stdout == f"http://{name}:{port}/\n"


ONE_SERVER = """
import psutil, spaces, gradio as gr
@spaces.GPU
def f(): pass
with gr.Blocks() as demo:
    pass
demo.launch(ssr_mode=True, num_workers=2, prevent_thread_lock=True, quiet=True)
listening = [each.laddr.port for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN]
print(listening, psutil.Process().children())
"""


def test_a_page_has_one_server_at_its_own_port(tmp_path: Path) -> None:
    """With Node on PATH it took the given port and Python the next one, and workers the ports after it."""
    port = Ports("127.0.0.1").after(0)
    run = launched(tmp_path, ONE_SERVER, "127.0.0.1", port)
    assert run.stdout == f"[{port}] []\n"
    assert "ssr_mode=True has no effect in a farm: Node would take a second port" in run.stderr
    assert "num_workers=2 has no effect in a farm: " in run.stderr


def launched(folder: Path, script: str, host: str, port: int) -> subprocess.CompletedProcess[str]:
    """A script that has run in a web process whose farm has no broker."""
    (folder / "app.py").write_text(script)
    command = [sys.executable, "-P", "-c", NO_BROKER, str(folder / "app.py")]
    address = {"GRADIO_SERVER_NAME": host, "GRADIO_SERVER_PORT": str(port)}
    environment = os.environ | {"ZEROFARM_ROLE": Role.WEB, "GRADIO_ANALYTICS_ENABLED": "False"} | address
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


OWN_COMPONENT = """
import gradio as gr

class Dial(gr.Slider):
    EVENTS = ["change"]
"""


@roles
def test_gradio_leaves_no_file_beside_a_space_s_own_component(tmp_path: Path, role: Role) -> None:
    """It wrote type stubs for editors, which made a new revision of the Space and took half of Gradio's import."""
    (tmp_path / "dial.py").write_text(OWN_COMPONENT)
    log_of(tmp_path, "import dial, spaces\nraise SystemExit", role)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".pyi"] == []
