"""The private names of the official package that Spaces reach for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import spaces
from spaces import zero
from spaces.config import Config
from spaces.zero import client, torch
from spaces.zero.decorator import GPU, P, R
from datetime import timedelta

assert spaces.zero is zero and GPU is spaces.GPU and zero.default_gpu_size() is None
assert torch.patch() is torch.unpatch() is torch.move() is None and torch.pack() == torch.size() == 0
assert client.get_duration_seconds(timedelta(days=1), None) == 86400
assert issubclass(spaces.zero.gradio.HTMLError, Exception) and not hasattr(zero, "wrappers")
assert spaces.config.Config is Config and not Config.gradio_auto_wrap
if hasattr(zero, "startup"):
    zero.startup()  # nothing is decorated yet: it has no effect
assert not {"torch", "gradio"} & set(sys.modules)
print(Config.zero_gpu, hasattr(zero, "startup"))
"""

AHEAD_OF_TIME = """
from spaces.zero.torch.aoti import LazyAOTIModel, ZeroGPUCompiledModel, ZeroGPUWeights, aoti_patch
from spaces.zero.torch.aoti import INDUCTOR_CONFIGS_OVERRIDES, PACKAGE_FILENAME, drain_module_parameters
import spaces
assert aoti_patch is spaces.aoti_patch
print(PACKAGE_FILENAME)
"""


def run(code: str, role: str = "") -> str:
    """The output of a fresh interpreter, with warnings as errors."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ZEROFARM")}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=clean | {"ZEROFARM_ROLE": role}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("role", "said"), [("", "False False\n"), ("web", "True True\n"), ("worker", "True True\n")])
def test_they_are_there_and_startup_only_in_a_farm(role: str, said: str) -> None:
    assert run(SCRIPT, role) == said


def test_those_of_ahead_of_time_compilation_are_the_public_ones() -> None:
    assert run(AHEAD_OF_TIME) == "package.pt2\n"
