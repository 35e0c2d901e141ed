"""What visitors of a page do, and read instead of an answer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.client import Job
from gradio_client.exceptions import AppError

from tests.harness import GRADIO
from tests.waiting import PATIENCE

#: Titles of what a task came to, and of what kept it from being one.
WORKER, CLIENT = "ZeroGPU worker error", "ZeroGPU client error"


def refused(visitor: Client, button: str, *arguments: object, words: str, title: str) -> None:
    """Press a button, and read this. `words` is a pattern."""
    fails(visitor.submit(*arguments, api_name=button), words=words, title=title)


def fails(job: Job, *, words: str, title: str) -> None:
    """Wait for the result of a pressed button, and read it."""
    with pytest.raises(AppError, match=words) as caught:
        job.result(timeout=PATIENCE)
    # Gradio 4 has the same title for all errors.
    assert caught.value.title == ("Error" if GRADIO.startswith("4.") else title)


def called(page: str, name: str, *arguments: object) -> Any:  # Any: what the event shows
    """What an event of a page answers. By plain HTTP: gradio_client takes a page of Gradio 4 to lie at the root."""
    with httpx.Client(base_url=page) as http:
        calls = http.get("/config").json().get("api_prefix", "") + f"/call/{name}"
        event = http.post(calls, json={"data": arguments}).json()["event_id"]
        *_, data = [line for line in http.get(f"{calls}/{event}").text.splitlines() if line.startswith("data: ")]
        return json.loads(data.removeprefix("data: "))
