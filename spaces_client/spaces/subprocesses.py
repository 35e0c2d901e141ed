"""Lets programs that a Space's script starts, above all pip, find the Space's Python.

Scripts build packages with an environment of a variable or two: `subprocess.run("pip install …",
env={"SKIP_CUDA": "1"}, shell=True)`. On Hugging Face the shell's default PATH has the Space's Python; here it has the
host's Python, or none.
"""

from __future__ import annotations

import functools
import inspect
import os
import subprocess
from typing import Any

#: Variables by which a program finds the Space's Python, and pip stays in its environment.
_NEEDED = ("PATH", "VIRTUAL_ENV")
_NEEDED_PREFIXES = ("PIP_", "UV_")


def find_the_space() -> None:
    """From now on, give the Space's PATH to each program whose environment has none."""
    start: Any = subprocess.Popen.__init__  # Any: it has an overload for each kind of pipe
    signature = inspect.signature(start)

    @functools.wraps(start)
    def start_in_space(*args: Any, **options: Any) -> None:  # Any: its own
        given = signature.bind(*args, **options)
        env = given.arguments.get("env")
        if env is not None and "PATH" not in env:
            given.arguments["env"] = _needed() | dict(env)
        start(*given.args, **given.kwargs)

    subprocess.Popen.__init__ = start_in_space  # type: ignore[method-assign] # `run` and the others all end there


def _needed() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _NEEDED or name.startswith(_NEEDED_PREFIXES)}
