"""Spaces that are stopped as soon as nobody uses them, while people, API clients and programs go on calling them."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from gradio_client import Client

import spaces
from tests.end_to_end.pages import called
from tests.end_to_end.test_idle import COUNTING, IDLE_AFTER, SETTINGS, as_browser
from tests.end_to_end.test_up import Up, serving
from tests.waiting import PATIENCE, wait_until

SPEAKING = """
import gradio as gr
import spaces

@spaces.GPU(duration=20)
def say(word):
    print(f"<{word}> is said")
    return f"{word} is said"

with gr.Blocks() as demo:
    word, answer = gr.Textbox(), gr.Textbox()
    gr.Button("Say").click(say, word, answer, api_name="say")

demo.launch()
"""

#: Spaces that are stopped and started, and how often each.
CALLED, TIMES = ("first", "second", "third"), 2

Speak = Callable[[str, str], str]  #: of a Space, by a word


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Up]:
    """A farm of these Spaces, and of one that counts the calls of each of its visitors."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "farm.toml").write_text(SETTINGS)
    for name in (*CALLED, "counting"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(COUNTING if name == "counting" else SPEAKING)
    served = [str(tmp_path / name) for name in (*CALLED, "counting")]
    up = Up(tmp_path, *served, "--no-isolate", "--no-flower", "--gpus", "none")
    with serving(up):
        yield up


def person(farm: Up, space: str, word: str) -> str:
    """Opens the page in a browser, which asks for it until it is there, and presses the button some time later."""
    page = farm.ready()["spaces"][space]
    wait_until(lambda: as_browser(page)[0] == 200)
    time.sleep(IDLE_AFTER * random.Random(word).uniform(0.0, 2.0))
    (answer,) = called(page, "say", word)
    return str(answer)


def api_client(farm: Up, space: str, word: str) -> str:
    client = Client(farm.ready()["spaces"][space], verbose=False)
    try:
        return str(client.predict(word, api_name="/say"))
    finally:
        client.close()


def program(farm: Up, space: str, word: str) -> str:
    with spaces.Farm((farm.state_dir / "broker.url").read_text().strip()) as client:
        return str(client.submit(space, "say", word).result(timeout=PATIENCE))


class Callers:
    """Threads that call the Spaces, each about when the one before it may have been stopped."""

    def __init__(self, *kinds: Speak) -> None:
        self.answers: dict[str, str] = {}
        self.failures: list[BaseException] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(*each,)) for each in enumerate(kinds)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _call(self, number: int, speak: Speak) -> None:
        chance = random.Random(number)
        while not self._over.wait(IDLE_AFTER * chance.uniform(0.8, 2.2)):
            word = f"{number}.{len(self.answers)}.{chance.random()}"
            try:
                self.answers[word] = speak(chance.choice(CALLED), word)
            except BaseException as error:
                self.failures.append(error)


def test_no_call_is_lost_or_doubled_while_spaces_are_stopped_and_started(farm: Up) -> None:
    """Meanwhile a visitor of another Space stays, and keeps the own session."""
    other = Client(farm.ready()["spaces"]["counting"], verbose=False)
    assert other.predict(api_name="/count") == 1

    def rests() -> dict[str, int]:
        return {name: len(farm.told("idle", name=f"Space {name}")) for name in CALLED}

    before = rests()
    with Callers(*(partial(speak, farm) for speak in (person, api_client, program))) as callers:
        wait_until(
            lambda: callers.failures or all(rests()[name] >= before[name] + TIMES for name in CALLED), 240, rests
        )
    assert not callers.failures, callers.failures
    assert all(answer == f"{word} is said" for word, answer in callers.answers.items())
    logs = "".join(path.read_text(errors="replace") for path in (farm.state_dir / "logs").glob("*.log"))
    assert Counter(re.findall(r"<(\S+)> is said", logs)) == Counter(dict.fromkeys(callers.answers, 1))
    assert other.predict(api_name="/count") == 2
    other.close()
    assert not farm.told("restarting")
