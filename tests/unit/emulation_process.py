"""Runs emulation tests away from pytest's own process: each case in a fork of one that has imported torch.

A test file lists its cases with `@case` and asks `outcomes(__name__)`; a case passes by returning.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

Case = Callable[[], None]

has_torch = find_spec("torch") is not None


def outcomes(module: str) -> dict[str, str]:
    """Case name -> '' if it passed, else its traceback."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.emulation_process", module],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    assert run.returncode == 0, run.stderr[-1500:]
    told: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return told


def _main(module: str) -> None:
    from spaces import emulation

    emulation.install()
    import torch

    # A fork after a parallel operation of this very thread would hang in its first one.
    torch.set_num_threads(1)
    cases: list[Case] = importlib.import_module(module).CASES
    print(json.dumps({case.__name__: _in_a_fork(case) for case in cases}))


def _in_a_fork(case: Case) -> str:
    readable, writable = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(readable)
        with os.fdopen(writable, "w") as answer:
            try:
                case()
            except BaseException:  # a failed assertion is the answer, and nothing may go on in this fork
                answer.write(traceback.format_exc())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as answer:
        told = answer.read()
    _, status = os.waitpid(child, 0)
    return told or ("" if status == 0 else f"died: status {status}")


if __name__ == "__main__":
    _main(sys.argv[1])
