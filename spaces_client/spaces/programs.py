"""Programs that a Space's script starts, pip most of all.

Scripts build things with an environment of a variable or two: `subprocess.run("pip install …", env={"SKIP_CUDA": "1"},
shell=True)`. On Hugging Face the shell then looks where it looks without a PATH, and there is the Space's Python; here
there is the host's, or none.
"""

from __future__ import annotations

import functools
import os
import subprocess
from typing import Any

#: What a program needs to find the Space's Python, and pip to stay in its environment.
_NEEDED = ("PATH", "VIRTUAL_ENV")
_NEEDED_PREFIXES = ("PIP_", "UV_")


def find_the_space() -> None:
    """From now on a program whose environment names no PATH is given that of the Space."""
    start: Any = subprocess.Popen.__init__  # Any: it has an overload for each kind of pipe

    @functools.wraps(start)
    def start_in_space(self: Any, *args: Any, env: Any = None, **options: Any) -> None:  # Any: its own
        if env is not None and "PATH" not in env:
            env = {name: value for name, value in os.environ.items() if _is_needed(name)} | dict(env)
        start(self, *args, env=env, **options)

    subprocess.Popen.__init__ = start_in_space  # type: ignore[method-assign] # `run` and the others all end there


def _is_needed(name: str) -> bool:
    return name in _NEEDED or name.startswith(_NEEDED_PREFIXES)
