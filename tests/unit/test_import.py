"""The cost of `import spaces`, and that it has no effect without a farm."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "gradio", "celery", "kombu", "redis", "numpy", "PIL")


def run(code: str, **environment: str) -> str:
    """The output of a fresh interpreter, with warnings as errors."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ZEROFARM")}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("role", ["", "web", "worker"])
def test_import_spaces_imports_nothing_heavy(role: str) -> None:
    code = f"import sys, json, spaces; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    assert json.loads(run(code, ZEROFARM_ROLE=role)) == []


def test_without_a_farm_import_spaces_imports_little_more_than_dataclasses() -> None:
    code = "import sys, json, spaces; print(json.dumps([m for m in {LONG} if m in sys.modules]))"
    long = ("asyncio", "hashlib", "logging", "msgpack", "socket", "ssl", "subprocess", "tempfile", "uuid")
    assert json.loads(run(code.replace("{LONG}", repr(long)))) == []


def test_without_a_farm_the_decorator_returns_the_very_same_function() -> None:
    code = """
import spaces
def f(): pass
async def g(): yield 1
same = [spaces.GPU(f) is f, spaces.GPU()(f) is f, spaces.GPU(duration=5)(f) is f, spaces.GPU(5)(g) is g,
        spaces.GPU("xlarge")(f) is f, spaces.GPU(duration=-1, nonsense=2)(f) is f, spaces.gradio_auto_wrap(f) is f]
print(same)
"""
    assert run(code) == f"{[True] * 7}\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    code = "import spaces\ntry: spaces.nothing\nexcept AttributeError as error: print(error)"
    assert run(code) == "module 'spaces' has no attribute 'nothing'\n"


def test_an_unknown_role_is_refused_by_name() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run("import spaces", ZEROFARM_ROLE="boss")
    assert "ZEROFARM_ROLE must be one of none, web, worker, got 'boss'" in caught.value.stderr
