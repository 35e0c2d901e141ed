"""The programs of `docs/calling.md`, each run as it stands there."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.test_up import Up, without_a_farm
from tests.guides.blocks import block, blocks
from tests.guides.farms import of_farm
from tests.harness import free_port
from tests.waiting import PATIENCE, wait_until

GUIDE = "calling.md"


def output(*command: str, folder: Path) -> str:
    """What a program prints."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=folder, env=without_a_farm())
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_program_in_python_prints_what_the_guide_says(farm: Up, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(of_farm(block(GUIDE, "Python", "python"), farm))
    assert output(sys.executable, "program.py", folder=tmp_path) == block(GUIDE, "Python", "text")


def test_the_calls_by_curl_answer_with_events(farm: Up, tmp_path: Path) -> None:
    script = of_farm(block(GUIDE, "curl", "sh"), farm)
    events = output("bash", "-euc", script, folder=tmp_path).split("\n\n")
    kinds = [event.partition("\n")[0] for event in events if event]
    assert kinds[0] == "event: generating"
    assert kinds[-1] == "event: complete"
    assert len(json.loads(events[len(kinds) - 1].partition("data: ")[2])[0].splitlines()) == 3


def test_a_file_is_uploaded_by_curl(farm: Up, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"a picture")
    page = f"{farm.ready()['spaces']['names']}/gradio_api"
    (path,) = json.loads(output("curl", "-s", "-F", "files=@photo.png", f"{page}/upload", folder=tmp_path))
    assert Path(path).name == "photo.png"


def test_the_client_of_mcp_prints_what_the_guide_says(farm: Up, tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(of_farm(blocks(GUIDE, "MCP", "python")[1], farm))
    assert output(sys.executable, "agent.py", folder=tmp_path) == block(GUIDE, "MCP", "text")


@pytest.fixture
def service(farm: Up, tmp_path: Path) -> Iterator[str]:
    """The address of the service of the guide."""
    (tmp_path / "service.py").write_text(of_farm(block(GUIDE, "A service of your own", "python"), farm))
    token = farm.run("token", "new", "--space", "digits", "--days", "30").stdout.strip()
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port)]
    environment = without_a_farm() | {"ZEROFARM_TOKEN": token}
    with (tmp_path / "log").open("wb") as log:
        serves = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(address) or serves.poll() is not None)
        assert serves.poll() is None, (tmp_path / "log").read_text()
        yield address
    finally:
        serves.terminate()
        serves.wait(PATIENCE)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/docs").is_success
    except httpx.HTTPError:
        return False


def test_the_service_draws_at_once_and_by_order(service: str, tmp_path: Path) -> None:
    drawn = httpx.get(f"{service}/digits/5", timeout=240)
    assert drawn.headers["content-type"] == "image/png"
    order = httpx.post(f"{service}/orders/5").json()
    answer = fetched(service, order, tmp_path)
    assert answer.content == drawn.content
    assert httpx.get(f"{service}/orders/{order}").status_code == 404


def fetched(service: str, order: str, folder: Path) -> httpx.Response:
    """The picture that was ordered, once it is there."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        answer = httpx.get(f"{service}/orders/{order}")
        assert answer.is_success, (folder / "log").read_text()
        if answer.headers["content-type"] == "image/png":
            return answer
        assert set(answer.json()) == {"state", "ahead"}
    raise AssertionError("the order was not drawn")
