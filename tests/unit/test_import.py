"""The cost of `import spaces`, and that it has no effect without a farm."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "gradio", "celery", "kombu", "redis", "numpy", "PIL", "opentelemetry")


def run(code: str, **environment: str) -> str:
    """The output of a fresh interpreter, with warnings as errors."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ZEROFARM")}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("role", ["", "web", "worker"])
def test_import_spaces_imports_nothing_heavy(role: str) -> None:
    code = f"import sys, json, spaces; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    assert json.loads(run(code, ZEROFARM_ROLE=role)) == []


#: Modules that take a part of the time in which a program imports `spaces`, and imports `typing` with it.
LONG = (
    *("asyncio", "dataclasses", "hashlib", "inspect", "ipaddress", "logging", "msgpack", "pathlib", "socket", "ssl"),
    *("subprocess", "tempfile", "urllib.parse", "uuid"),
)


def test_without_a_farm_spaces_and_its_decorator_import_little_more_than_typing() -> None:
    code = f"""
import json, spaces, sys
@spaces.GPU(duration=5)
def f(): pass
print(json.dumps([m for m in {LONG} if m in sys.modules]))
"""
    assert json.loads(run(code)) == []


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


def test_without_a_farm_its_configuration_can_still_be_read() -> None:
    assert run("import spaces; print(spaces.config.Config.zero_gpu, spaces.config.current().url)") == "False \n"


def test_gradio_s_functions_are_decorated_when_the_environment_says_so() -> None:
    code = """
import spaces
def f(): pass
before = spaces.gradio_auto_wrap(f) is f
spaces.enable_gradio_auto_wrap()
between = spaces.gradio_auto_wrap(f) is f
spaces.disable_gradio_auto_wrap()
print(before, between, spaces.gradio_auto_wrap(f) is f)
"""
    assert run(code, ZEROFARM_ROLE="web") == "True False True\n"
    assert run(code, ZEROFARM_ROLE="web", SPACES_GRADIO_AUTO_WRAP="1") == "False False True\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    code = "import spaces\ntry: spaces.nothing\nexcept AttributeError as error: print(error)"
    assert run(code) == "module 'spaces' has no attribute 'nothing'\n"


def test_an_unknown_role_is_refused_by_name() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run("import spaces", ZEROFARM_ROLE="boss")
    assert "ZEROFARM_ROLE must be one of none, web, worker, got 'boss'" in caught.value.stderr
