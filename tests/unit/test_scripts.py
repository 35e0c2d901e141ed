"""How the scripts of the queue are put together: each function that one defines takes the broker time in every run."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from spaces.farm.queue.keys import Keys
from spaces.farm.queue.scripts import source

FOLDER = Path(str(files("spaces.farm.queue") / "lua"))
SCRIPTS = sorted(
    str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.lua") if path.parent.name != "shared"
)


def code_of(name: str) -> str:
    return re.sub(r"--.*", "", source(name, Keys(), 3600))


def uses(function: str, code: str) -> int:
    """How often it is called or defined."""
    return len(re.findall(rf"(?<![\w.]){function}\(", code))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_defines_no_function_that_it_does_not_call(name: str) -> None:
    """`push` had those for beats and for doubted clients: a comment spoke of beats, and a local was named `trust`."""
    code = code_of(name)
    assert [each for each in re.findall(r"local function (\w+)", code) if uses(each, code) < 2] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_the_shared_functions_that_it_calls(name: str) -> None:
    shared = "\n".join(path.read_text() for path in (FOLDER / "shared").iterdir())
    code = code_of(name)
    for function in re.findall(r"local function (\w+)", shared):
        assert uses(function, code) == 0 or f"local function {function}(" in code, function
