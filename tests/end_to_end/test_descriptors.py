"""A page that has no file descriptor left says so shortly, and answers again as soon as it has some."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from tests.harness import Farm
from tests.waiting import wait_until

#: Gradio asks the page itself, after it answers, whether it can be reached.
_SPACE = """
import gradio as gr
import spaces

demo = gr.Interface(spaces.GPU(lambda text: text), "text", "text")
demo.launch(prevent_thread_lock=True)
print("launched", flush=True)
demo.block_thread()
"""


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_page_out_of_descriptors_recovers_and_fills_no_disk(own_farm: Farm, tmp_path: Path) -> None:
    """It wrote 12 MB of log a minute, and did not come back."""
    (tmp_path / "app.py").write_text(_SPACE)
    url = own_farm.start_web("short", app_file=tmp_path / "app.py")
    page = psutil.Process(own_farm.webs["short"].pid)
    log = own_farm.folder / "web-short.log"
    wait_until(lambda: "launched" in log.read_text())
    soft, hard = page.rlimit(psutil.RLIMIT_NOFILE)
    assert soft == min(hard, 65_536)
    with ExitStack() as connections:
        page.rlimit(psutil.RLIMIT_NOFILE, (page.num_fds() + 20, hard))
        for _ in range(200):
            connections.enter_context(socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), 5))
        wait_until(lambda: log.read_text().count("socket.accept() out of system resource") >= 3)
    wait_until(lambda: answers(url))
    assert log.stat().st_size < 100_000
