"""A Space's environment: the interpreter and the variables that its processes are started with."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

#: The file of the author's notes. It is written last, so a folder that has it is complete.
NOTES = "notes.json"

#: Constraints that pip and uv must keep when a Space runs them while it is imported.
CONSTRAINTS = "constraints.txt"

#: How Python runs a module of ours. With -m alone, a `spaces.py` in the operator's current folder would be found first.
MODULE = ("-P", "-m")


@dataclass(frozen=True, slots=True)
class SpaceEnvironment:
    """The environment in which the processes of a Space run."""

    python: Path
    variables: dict[str, str]  #: in addition to those of every Space's process
    notes: tuple[str, ...]  #: for the author: packages that are missing, or not the requested version


def variables_of(python: Path) -> dict[str, str]:
    """The variables that this interpreter's processes need; none for the farm's own interpreter.

    They confine packages that a Space installs with pip or uv while it is imported to the environment.
    """
    root = python.parent.parent
    if not (root / NOTES).is_file():
        return {}
    path = [str(python.parent), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    constraints = str(root / CONSTRAINTS)
    return {
        "PATH": os.pathsep.join(path),
        "VIRTUAL_ENV": str(root),
        "PIP_CONSTRAINT": constraints,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_USER": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": "",  # the operator's would be searched before the Space's own packages
        "UV_CONSTRAINT": constraints,
    }
