"""A Space that measures its own calls beside Celery's, in turns; `MEASURED` names the file for the seconds of each."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

import spaces

ROUNDS, WARM_UP = 300, 20


@spaces.GPU
def echo(value: Any) -> Any:
    """Nothing."""
    return value


def measure(calls: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of each call."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(WARM_UP + ROUNDS):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return {name: each[WARM_UP:] for name, each in seconds.items()}


with gr.Blocks() as page:
    gr.Markdown("It measures.")
page.launch(prevent_thread_lock=True)

# Only the page arrives here: a zygote begins to serve at the launch.
from benchmarks.calls.peer import app, echo as peer  # noqa: E402, I001

found = measure({"page": partial(echo, 1), "celery": lambda: peer.delay(1).get()})
app.close()
path = Path(os.environ["MEASURED"])
path.with_suffix(".part").write_text(json.dumps(found))
path.with_suffix(".part").rename(path)
page.block_thread()
