"""A page of events of every kind: it answers, and describes its API, as the same script does without a farm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness import SPACES, farm, free_port
from tests.waiting import PATIENCE, wait_until

#: What each kind of input is sent in the API; others get their defaults.
SAMPLES = {"Textbox": "hello", "Api": "Ada"}

Answers = dict[str, list[str]]


@pytest.fixture(scope="module")
def on_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with farm(tmp_path_factory.mktemp("farm")) as made:
        made.start_worker()
        yield made.start_web("layouts")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of the same script, without a farm."""
    with _launched(tmp_path_factory.mktemp("alone")) as page:
        yield page


@contextmanager
def _launched(folder: Path) -> Iterator[str]:
    port = free_port()
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    log = (folder / "log").open("wb")
    script = subprocess.Popen(
        [sys.executable, SPACES / "layouts" / "app.py"], cwd=folder, env=environment, stdout=log, stderr=log
    )
    try:
        wait_until(lambda: script.poll() is not None or _answers(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}"
    finally:
        script.terminate()
        script.wait(PATIENCE)
        log.close()


def _answers(page: str) -> bool:
    try:
        return httpx.get(f"{page}/gradio_api/info").status_code == 200
    except httpx.HTTPError:
        return False


def described(page: str) -> dict[str, Any]:
    """The named events of a page, as its API describes them; not the snippets of code, which have its address."""
    found = httpx.get(f"{page}/gradio_api/info").json()["named_endpoints"]
    return {name: event | {"code_snippets": None} for name, event in found.items()}


def answers(page: str) -> Answers:
    """Everything that each event of a page streams to a caller."""
    return {name: _streamed(page, name, event["parameters"]) for name, event in described(page).items()}


def _streamed(page: str, name: str, parameters: list[dict[str, Any]]) -> list[str]:
    call = f"{page}/gradio_api/call{name}"
    data = [_sample(parameter) for parameter in parameters]
    event = httpx.post(call, json={"data": data}).json()["event_id"]
    lines = httpx.get(f"{call}/{event}").text.splitlines()
    return [_without_places(line) for line in lines if line and "heartbeat" not in line]


def _sample(parameter: dict[str, Any]) -> Any:  # Any: JSON
    if parameter["parameter_has_default"]:
        return parameter["parameter_default"]
    return SAMPLES[parameter["component"]]


def _without_places(line: str) -> str:
    """A line without addresses and folders, which differ between two pages."""
    return re.sub(r"(http://127\.0\.0\.1:\d+)?(/[\w.-]+)+/", "", line)


def test_every_event_answers_as_without_a_farm(on_farm: str, alone: str) -> None:
    """`gr.ChatInterface` answered no call of its API: a wrapper around a GPU function was left out."""
    expected = answers(alone)
    assert len(expected) > 45
    assert answers(on_farm) == expected


def test_the_api_of_a_page_is_described_as_without_a_farm(on_farm: str, alone: str) -> None:
    """`gr.Interface` named no inputs, because it found no parameters of a GPU function."""
    assert described(on_farm) == described(alone)
