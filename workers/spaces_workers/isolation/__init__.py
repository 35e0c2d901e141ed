"""A Space's own environment: the packages that its `requirements.txt` names, over those of the farm.

    environment = prepare(source, state_dir, print)
    subprocess.run([environment.python, "-m", "spaces.script", "app.py"], env=os.environ | environment.variables)

It is a virtual environment that first claims to contain every package of the farm, above all torch, so that uv
downloads only the versions that differ. Its own packages are searched first, then the farm's that still fit; `spaces`
is always the farm's. `recipe.py` makes it, `install_attempts.py` lists the combinations of packages that are tried,
`farm_packages.py` shares the farm's packages, `environment_key.py` computes its key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from spaces.source import Source
from spaces.space import name_of
from spaces_workers.isolation.environment_key import wanted_by
from spaces_workers.isolation.errors import IsolationError
from spaces_workers.isolation.recipe import make
from spaces_workers.isolation.space_environment import MODULE, NOTES, SpaceEnvironment, variables_of
from spaces_workers.isolation.store import kept, notes_of

__all__ = [
    "MODULE",
    "IsolationError",
    "SpaceEnvironment",
    "existing",
    "farm_environment",
    "is_complete",
    "prepare",
    "variables_of",
]


def prepare(source: Source, state_dir: Path, log: Callable[[str], None], *, name: str = "") -> SpaceEnvironment:
    """Return a Space's environment; making it may take minutes. Waits for another process that makes the same one.

    `name` separates two Spaces of equal requirements, because each may run pip while it is imported; it defaults to the
    folder's name. Notes for the author go to `log` at every start. Raises IsolationError, which names the requirement
    that cannot be met.
    """
    wanted = wanted_by(source, name or name_of(source))
    root = kept(_folder(state_dir), wanted.key, make=lambda staging: make(wanted, staging, log), log=log)
    notes = notes_of(root)
    for note in notes:
        log(f"{wanted.name}: {note}")
    return _at(root, notes)


def existing(source: Source, state_dir: Path, *, name: str = "") -> SpaceEnvironment | None:
    """The environment that `prepare` has made, complete or not; None if there is none."""
    root = _folder(state_dir) / wanted_by(source, name or name_of(source)).key
    return _at(root, notes_of(root) if is_complete(root) else ()) if root.is_dir() else None


def is_complete(root: Path) -> bool:
    """Whether a folder has an environment that `prepare` has made."""
    return (root / NOTES).is_file() and (root / "bin" / "python").exists()


def farm_environment() -> SpaceEnvironment:
    """The farm's own environment, in which Spaces run with `--no-isolate`."""
    return SpaceEnvironment(Path(sys.executable), {}, ())


def _folder(state_dir: Path) -> Path:
    return state_dir.resolve() / "environments"


def _at(root: Path, notes: tuple[str, ...] = ()) -> SpaceEnvironment:
    python = root / "bin" / "python"
    return SpaceEnvironment(python, variables_of(python), notes)
