"""Globals that change: those that are sent, those that are warned about, and whose value counts."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spaces.farm.events import ChangedGlobal, ChangedGlobals
from spaces.farm.payloads.payload import Payload
from spaces.farm.task import FunctionName, Task
from spaces.farm.values.codec import Codec
from spaces.farm.values.references import References
from spaces.farm.wire import unpack
from spaces.state import outgoing, stale
from spaces.state.incoming import Incoming
from spaces.state.outgoing import Outgoing
from spaces.state.space_globals import SpaceGlobals

SCRIPT = """
import functools
import threading
import a_helper
from a_helper import scaled

style = "plain"
settings = {"steps": 4}
words = alias = ["calm"]
bright = np.zeros(3)
counter = 0
job = None
unread = 0
loaded = None
table = {}

class Config:
    seed = 1

class Studio:
    def __init__(self):
        self.lock = threading.Lock()
        self.canvas = "white"
        self.visits = 0

    def paint(self):
        return self.canvas

studio = Studio()
team = {"a": Studio()}

def described():
    return style, settings["steps"], list(words), Config.seed, a_helper.level, scaled(1), list(bright)

def generate():
    return described()

def make():
    return functools.partial(lambda: table.get("x"))

made = make()

def late():
    return later

def count():
    global counter
    counter += 1
    settings["seen"] = counter

def busy():
    return job

def load(step):
    global loaded
    before, loaded = loaded, step
    return before

def show():
    return counter, settings["steps"]

def reset():
    global counter, unread
    counter = 0
    return unread

handlers = [lambda: loaded]
"""

HELPER = """
level = 1
factor = 2

def scaled(value):
    return value * factor
"""

GPU = ("generate", "late", "count", "busy", "load", "made")


class Process:
    """The Space in one process: its modules, as its script left them."""

    def __init__(self, script: ModuleType, helper: ModuleType) -> None:
        self.script: Any = script
        self.helper: Any = helper
        functions = [*(vars(script)[name] for name in GPU), script.Studio.paint]
        self.space = SpaceGlobals([script, helper], functions)
        modules = [script, helper]
        self.codec = Codec(b"k" * 32, References(lambda: modules))
        self.codec.freeze_references()


Make = Callable[[], Process]


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Runs the script once more, as another process would."""
    (tmp_path / "a_script.py").write_text(SCRIPT)
    (tmp_path / "a_helper.py").write_text(HELPER)

    def run(name: str) -> ModuleType:
        module = ModuleType(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        vars(module)["np"] = np
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(Path(module.__file__).read_text(), module.__file__, "exec", dont_inherit=True), vars(module))
        return module

    def make() -> Process:
        helper = run("a_helper")
        return Process(run("a_script"), helper)

    return make


@pytest.fixture
def web(process: Make) -> Process:
    return process()


@pytest.fixture
def out(web: Process) -> Outgoing:
    return Outgoing(web.space, web.codec)


@pytest.fixture
def child(process: Make) -> Process:
    return process()


@pytest.fixture
def incoming(child: Process) -> Incoming:
    return Incoming(child.space, child.codec)


@pytest.fixture(autouse=True)
def warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was warned about yet."""
    monkeypatch.setattr(stale, "_warned", set())


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING)
    return lambda: caplog.messages


def names(out: Outgoing) -> list[str]:
    """What would travel now."""
    return sorted(str(change.slot).removeprefix("a_script.") for change in unpack(out.packed()).changes)


def run(incoming: Incoming, packed: bytes, function: Callable[[], Any] = lambda: None) -> list[ChangedGlobal]:
    """Run a task; returns its child's reports of changed globals."""
    told: list[ChangedGlobals] = []
    with incoming.during(packed, told.append):
        function()
    return [change for event in told for change in event.changes]


def rebind(web: Process) -> None:
    web.script.style = "oil"


def fill(web: Process) -> None:
    web.script.settings["steps"] = 9


def append(web: Process) -> None:
    web.script.alias.append("loud")


def reach_into_an_array(web: Process) -> None:
    web.script.bright[1] = 7


def set_on_a_class(web: Process) -> None:
    web.script.Config.seed = 5


def set_in_a_module(web: Process) -> None:
    web.helper.level = 3


def set_behind_a_helper(web: Process) -> None:
    web.helper.factor = 10


def set_on_an_object(web: Process) -> None:
    web.script.studio.canvas = "black"


def set_on_an_object_in_a_dict(web: Process) -> None:
    web.script.team["a"].canvas = "black"


def change_behind_a_lambda(web: Process) -> None:
    web.script.table["x"] = [1, 2]


def make_a_global(web: Process) -> None:
    web.script.later = datetime(2026, 1, 2)


def delete_a_global(web: Process) -> None:
    del web.script.style


CHANGES = {
    "style": rebind,
    "settings": fill,
    "words": append,
    "bright": reach_into_an_array,
    "Config.seed": set_on_a_class,
    "a_helper.level": set_in_a_module,
    "a_helper.factor": set_behind_a_helper,
    "studio.canvas": set_on_an_object,
    "team['a'].canvas": set_on_an_object_in_a_dict,
    "table": change_behind_a_lambda,
    "later": make_a_global,
}


def test_nothing_travels_while_nothing_changes(out: Outgoing) -> None:
    assert names(out) == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_travels_and_is_taken_over(
    name: str, web: Process, out: Outgoing, child: Process, incoming: Incoming
) -> None:
    CHANGES[name](web)
    assert names(out) == [name]
    run(incoming, out.packed())
    root = name if "." in name and name.startswith("a_helper") else f"a_script.{name}"
    processes = {"a_script": child.script, "a_helper": child.helper}, {"a_script": web.script, "a_helper": web.helper}
    here, there = (eval(root, dict(each)) for each in processes)
    assert np.array_equal(here, there)


def test_a_deleted_global_is_deleted(web: Process, out: Outgoing, child: Process, incoming: Incoming) -> None:
    delete_a_global(web)
    run(incoming, out.packed())
    assert not hasattr(child.script, "style")


def test_what_is_filled_anew_stays_the_same_object(
    web: Process, out: Outgoing, child: Process, incoming: Incoming
) -> None:
    append(web)
    run(incoming, out.packed())
    assert child.script.alias is child.script.words
    assert child.script.alias == ["calm", "loud"]


def test_what_no_gpu_function_reads_stays_at_home(web: Process, out: Outgoing, said: Callable[[], list[str]]) -> None:
    web.script.unread = threading.Lock()
    web.script.studio.visits += 1
    assert names(out) == []
    assert said() == []


def test_a_change_that_is_taken_back_travels_too(
    web: Process, out: Outgoing, child: Process, incoming: Incoming
) -> None:
    rebind(web)
    run(incoming, out.packed())
    web.script.style = "plain"
    run(incoming, out.packed())
    assert child.script.style == "plain"


def test_a_child_keeps_its_own_change_until_the_web_process_makes_another(
    web: Process, out: Outgoing, child: Process, incoming: Incoming
) -> None:
    web.script.loaded = "first"
    run(incoming, out.packed(), lambda: child.script.load("own"))
    run(incoming, out.packed())
    assert child.script.loaded == "own"
    web.script.loaded = "second"
    run(incoming, out.packed())
    assert child.script.loaded == "second"


def test_another_web_process_starts_from_the_globals_of_the_launch(
    web: Process, out: Outgoing, process: Make, child: Process, incoming: Incoming
) -> None:
    for change in CHANGES.values():
        change(web)
    run(incoming, out.packed())
    other = process()
    run(incoming, Outgoing(other.space, other.codec).packed())
    assert child.script.described() == other.script.described()
    assert child.script.words is child.script.alias
    assert not hasattr(child.script, "later")
    assert child.script.studio.canvas == "white"


def test_a_caller_that_is_no_web_process_changes_nothing(
    web: Process, out: Outgoing, child: Process, incoming: Incoming
) -> None:
    rebind(web)
    run(incoming, out.packed())
    run(incoming, b"")
    assert child.script.style == "oil"


def test_what_cannot_be_sent_is_named_once_and_the_rest_travels(
    web: Process, out: Outgoing, said: Callable[[], list[str]]
) -> None:
    rebind(web)
    for _ in range(2):
        web.script.job = {"lock": threading.Lock()}
        assert names(out) == ["style"]
    (message,) = said()
    assert "the global 'a_script.job' was changed in the web process; busy(), which reads it on the GPU" in message
    assert "it holds a lock (_thread.lock at ['lock'])" in message
    web.script.job = "done"
    assert names(out) == ["job", "style"]


def test_what_is_too_large_is_named_once(
    web: Process, out: Outgoing, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "MOST_BYTES", 1000)
    web.script.job = "x" * 2000
    web.script.style = "y" * 700
    web.script.loaded = "z" * 700
    assert len(names(out)) == len(names(out)) == 1
    assert len(said()) == 2


def test_what_was_changed_while_it_was_read_is_read_again(
    web: Process, out: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(value: object) -> Payload:
        raise RuntimeError("dictionary changed size during iteration")

    fill(web)
    with monkeypatch.context() as patch:
        patch.setattr(out, "_encoded", torn)
        assert names(out) == []
    assert names(out) == ["settings"]


def test_a_global_that_a_child_changed_and_the_web_process_reads_is_told_once(
    out: Outgoing, child: Process, incoming: Incoming
) -> None:
    told = run(incoming, out.packed(), child.script.count)
    assert {change.name: change.reader for change in told} == {
        "a_script.counter": "show()",
        "a_script.settings": "show()",
    }
    assert run(incoming, out.packed(), child.script.count) == []


def test_what_only_gpu_functions_read_or_a_handler_only_writes_is_not_told(
    out: Outgoing, child: Process, incoming: Incoming
) -> None:
    assert run(incoming, out.packed(), lambda: setattr(child.script, "style", "own")) == []
    assert [change.reader for change in run(incoming, out.packed(), lambda: child.script.load("x"))] == [
        f"a lambda in line {SCRIPT.splitlines().index('handlers = [lambda: loaded]') + 1}"
    ]


def test_what_came_from_the_web_process_is_not_told_to_it(web: Process, out: Outgoing, incoming: Incoming) -> None:
    fill(web)
    web.script.loaded = "first"
    assert run(incoming, out.packed()) == []


def test_a_warning_is_for_web_processes_and_comes_once(said: Callable[[], list[str]]) -> None:
    event = ChangedGlobals((ChangedGlobal("counter", "show()"),))
    name = FunctionName("__main__", "count")
    stale.warn_of_missed(Task("space", name, Payload()), event)
    assert said() == []
    for _ in range(2):
        stale.warn_of_missed(Task("space", name, Payload(), client="web"), event)
    assert said() == [
        "count() changed the global 'counter' in its GPU process; the web process, where show() reads it, does not see "
        "that. Return it instead"
    ]
