"""A Space's environment as those see it who start processes in it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

#: Written last, so that a folder which has it is whole: what the author should know of this environment.
NOTES = "notes.json"

#: What pip and uv must not break when a Space runs them while it is imported.
CONSTRAINTS = "constraints.txt"

#: How Python runs a module of ours. With -m alone, a `spaces.py` where the operator happens to be is first.
MODULE = ("-P", "-m")


@dataclass(frozen=True, slots=True)
class SpaceEnvironment:
    """What runs the processes of a Space."""

    python: Path
    variables: dict[str, str]  #: beside those that every process of a Space is given
    notes: tuple[str, ...]  #: what the author should know: packages that are not those asked for, or missing


def variables_of(python: Path) -> dict[str, str]:
    """What the processes run by this interpreter need in their environment; nothing for the farm's own.

    They confine to the environment what a Space installs with pip, or uv, while it is imported.
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
        "PYTHONPATH": "",  # the operator's would be found before the Space's own packages
        "UV_CONSTRAINT": constraints,
    }
