"""Programs that a Space's script starts find the Space's Python, however their environment is given."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from spaces.subprocesses import find_the_space

COMMAND = ["/bin/sh", "-c", 'echo "$PATH|$PIP_INDEX_URL|$SKIP_CUDA_BUILD|$HOME"']


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a Space's script at its start."""
    monkeypatch.setenv("PATH", "/space/bin:/usr/bin")
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages")
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setattr(subprocess.Popen, "__init__", subprocess.Popen.__init__)
    find_the_space()


def by_name(env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(COMMAND, env=env, stdout=subprocess.PIPE, text=True)


def by_position(env: dict[str, str]) -> subprocess.Popen[str]:
    """It was a TypeError: `env` was given twice."""
    options = (-1, None, None, subprocess.PIPE, None, None, True, False, None)  # all that stand before `env`
    return subprocess.Popen(COMMAND, *options, env, text=True)


Start = Callable[[dict[str, str]], "subprocess.Popen[str]"]
both = pytest.mark.parametrize("start", [by_name, by_position])


@both
def test_an_environment_without_a_path_is_given_that_of_the_space(start: Start) -> None:
    assert said(start({"SKIP_CUDA_BUILD": "1"})) == "/space/bin:/usr/bin|https://packages|1|"


@both
def test_an_environment_with_a_path_is_left_as_it_is(start: Start) -> None:
    assert said(start({"PATH": "/bin"})) == "/bin|||"


def test_without_an_environment_all_of_ours_is_inherited() -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as program:
        assert said(program) == "/space/bin:/usr/bin|https://packages||/root"


def said(program: subprocess.Popen[str]) -> str:
    with program:
        text, _ = program.communicate()
    return text.strip()
