"""Checks one Space for `zerofarm doctor SPACE`: that its processes find `spaces` and the imports of its script.

The script is read, not run, so errors at run time are not found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from spaces.effect_check import namesakes
from spaces.space import source_at
from spaces_workers.doctor import spaces_package
from spaces_workers.doctor.finding import Finding
from spaces_workers.doctor.script import check_script
from spaces_workers.isolation import existing
from spaces_workers.setup.served_space import ServedSpace


def examine_space(space: ServedSpace, state_dir: Path) -> Iterator[Finding]:
    """Check a Space, in its environment if that exists; does not make one. Raises nothing."""
    for path in namesakes(space.app_file.parent):
        message = f"{path} cannot be imported: `import spaces` finds ZeroFarm's package"
        yield Finding(f"Space {space.name}", "warning", message, f"Rename {path.name}")
    try:
        yield _in_its_environment(space, state_dir) if space.asks_for_packages else _in_the_farm_s(space)
    except OSError as error:
        yield Finding(f"Space {space.name}", "problem", f"it cannot be read: {error}", "Make its files readable")


def _in_its_environment(space: ServedSpace, state_dir: Path) -> Finding:
    subject = f"Space {space.name}"
    own = existing(source_at(space.app_file), state_dir, name=space.name)
    if own is None:
        check = replace(check_script(space.app_file, Path(sys.executable), {}), missing=())
        made = f"{space.app_file.name} can be compiled; its environment is made when it starts, with ours in it"
        return check.problem(subject) or Finding(subject, "ok", made)
    root = own.python.parent.parent
    remedy = f"Remove {root}: the next start of the Space makes another"
    return _with(space, own.python, own.variables, remedy)


def _in_the_farm_s(space: ServedSpace) -> Finding:
    return _with(space, Path(sys.executable), {}, spaces_package.REINSTALL)


def _with(space: ServedSpace, python: Path, variables: Mapping[str, str], remedy: str) -> Finding:
    """Check with the interpreter that would run the Space."""
    subject = f"Space {space.name}"
    ours = spaces_package.imported(subject, python, variables, remedy)
    if ours.status != "ok":
        return ours
    found = f"can import spaces, and finds what {space.app_file.name} imports, with {python}"
    return check_script(space.app_file, python, variables).problem(subject) or Finding(subject, "ok", found)
