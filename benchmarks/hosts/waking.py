"""How long does a visitor of an idle Space wait for its page? `python -m benchmarks.hosts.waking`

A farm of the demos, whose pages end when nobody has used them for two seconds. The first request is a program's, which
only waits longer. Meanwhile a visitor of another Space goes on calling a function, and must not notice.
"""

from __future__ import annotations

import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median

from gradio_client import Client

from spaces_app.demos import default_demos
from tests.end_to_end.test_up import Up
from tests.waiting import wait_until

TIMES = 5
PATIENCE = 120.0

OTHER = "import gradio\n\ngradio.Interface(lambda text: text, 'text', 'text', api_name='same').launch()\n"


def main() -> None:
    """One line for each demo, and one for the visitor of the other Space."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for file, text in (("other/app.py", OTHER), ("state/farm.toml", "[idle]\nafter = 2\n")):
            (folder / file).parent.mkdir(mode=0o700)
            (folder / file).write_text(text)
        demos = map(str, default_demos())
        farm = Up(folder, *demos, str(folder / "other"), "--no-isolate", "--no-flower", "--gpus", "none")
        try:
            _measure(farm)
        finally:
            farm.stop()


def _measure(farm: Up) -> None:
    pages = dict(farm.ready()["spaces"])
    visitor, over = Client(pages.pop("other"), verbose=False), threading.Event()
    calls: list[float] = []

    def call() -> None:
        while not over.wait(0.1):
            calls.append(_seconds(lambda: visitor.predict("a", api_name="/same")))

    calling = threading.Thread(target=call)
    calling.start()
    time.sleep(5.0)
    undisturbed = median(calls)
    for name, page in pages.items():
        waits = [_waking(farm, name, page, number) for number in range(TIMES)]
        print(f"{name}: its page after {median(waits):.2f} s, at most {max(waits):.2f} s", flush=True)
    over.set()
    calling.join()
    milliseconds = (f"{seconds * 1000:.0f} ms" for seconds in (undisturbed, median(calls), max(calls)))
    print("a call on the other Space: {} before, {} meanwhile, at most {}".format(*milliseconds))


def _waking(farm: Up, name: str, page: str, times: int) -> float:
    """Seconds until the page of a Space that has slept so many times before."""
    wait_until(lambda: len(farm.told("idle", name=f"Space {name}")) > times, PATIENCE)
    return _seconds(lambda: urllib.request.urlopen(f"{page}/config", timeout=60).read())


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
