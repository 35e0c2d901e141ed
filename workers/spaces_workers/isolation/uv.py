"""Runs uv, which resolves and installs packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spaces.withheld_variables import for_spaces
from spaces_workers.isolation.errors import IsolationError
from spaces_workers.link.die_with_starter import tied

#: If a setting of pip is given and uv's is not, uv uses pip's.
_AS_PIP = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_FIND_LINKS": "PIP_FIND_LINKS",
}

_ERRORS = ("error:", "  cause:", "hint:", "     ")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one run."""

    succeeded: bool
    lines: tuple[str, ...]  #: of its output

    @property
    def reason(self) -> str:
        """The error message of a failed run."""
        starts = [number for number, line in enumerate(self.lines) if line.startswith("error:")]
        return "\n".join(self.lines[starts[-1] if starts else -20 :])

    @property
    def unsolvable(self) -> bool:
        """Whether the requirements contradict each other, or name a package that no index has."""
        return "No solution found" in self.reason

    @property
    def failed_to_build(self) -> bool:
        """Whether a package failed to build, which would fail again."""
        return "Failed to build" in self.reason or "build backend" in self.reason.lower()


def run(arguments: Sequence[str], folder: Path, log: Callable[[str], None], **settings: str) -> Outcome:
    """Run uv in a folder; its output goes to `log` line by line, except the error message."""
    process = subprocess.Popen(
        tied([_executable(), *arguments]),
        cwd=folder,
        env=_environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    with process:
        lines = tuple(_told(process.stdout, log))
    return Outcome(process.returncode == 0, lines)


def _told(output: Iterable[str], log: Callable[[str], None]) -> Iterable[str]:
    for line in map(str.rstrip, output):
        if line and not line.startswith(("Using Python", *_ERRORS)):
            log(line)
        yield line


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    given = for_spaces()
    for unwanted in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_CONSTRAINT"):
        given.pop(unwanted, None)
    defaults = {
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # as pip, for which requirements are written, treats all indexes
        **settings,
        **{ours: _listed(ours, given[pips]) for ours, pips in _AS_PIP.items() if pips in given},
    }
    return defaults | given | {"NO_COLOR": "1", "UV_NO_PROGRESS": "1"}


def _listed(variable: str, value: str) -> str:
    return ",".join(value.split()) if variable == "UV_FIND_LINKS" else value


def _executable() -> str:
    try:
        from uv import find_uv_bin

        return os.fspath(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise IsolationError("a Space's own environment needs uv: pip install uv, or serve it with --no-isolate")
    return found
