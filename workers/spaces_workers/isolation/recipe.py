"""Makes an environment: claims the farm's packages, installs the Space's, lends those of the farm that still fit."""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from spaces_workers.isolation import startup, uv
from spaces_workers.isolation.author_notes import Result, notes_on
from spaces_workers.isolation.environment_key import Wanted
from spaces_workers.isolation.errors import IsolationError
from spaces_workers.isolation.farm_packages import CLAIMED, OURS, Farm, our_folders
from spaces_workers.isolation.installation import Installation
from spaces_workers.isolation.space_environment import CONSTRAINTS, NOTES

_PIP = '#!/bin/sh\nexec "$(dirname -- "$(realpath -- "$0")")/python" -m pip "$@"\n'


def make(wanted: Wanted, root: Path, log: Callable[[str], None]) -> None:
    """Make an environment in an empty folder. Raises IsolationError."""
    log(f"{wanted.name}: making its environment")
    farm = Farm.of_this_process()
    packages = _make_venv(wanted, root, log)
    for package in farm.packages.values():
        package.claim(packages)
    attempt = Installation(wanted, root, farm, log).run()
    hidden = _withdraw_unfit(packages, farm)
    _lend(root, packages, farm, alone=not attempt.needs)
    _write_startup(root, packages)
    _write_constraints(root, attempt.needs)
    notes = notes_on(wanted, farm, Result(attempt, _versions(packages), frozenset(hidden)))
    (root / NOTES).write_text(json.dumps(notes))


def _make_venv(wanted: Wanted, root: Path, log: Callable[[str], None]) -> Path:
    """Make an empty virtual environment; returns its folder of packages."""
    options = ("--quiet", "--relocatable", "--allow-existing", "--no-project", "--python", sys.executable)
    outcome = uv.run(["venv", *options, str(root)], root, log)
    if not outcome.succeeded:
        raise IsolationError(f"no environment can be made for Space {wanted.name!r}:\n{outcome.reason.strip()}")
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(root)}))


def _write_constraints(root: Path, needs: Sequence[str]) -> None:
    """Constrain packages that a Space installs later to versions that the farm's code works with, if it shares them."""
    wanted = [Requirement(need) for need in needs]
    (root / CONSTRAINTS).write_text("".join(f"{need.name}{need.specifier}\n" for need in wanted))


def _withdraw_unfit(packages: Path, farm: Farm) -> set[str]:
    """Remove the claims of farm packages that need other versions than the Space has; returns their names."""
    unfit = farm.unfit(_versions(packages))
    for name, claim in _claims(packages).items():
        if name in unfit:
            shutil.rmtree(str(claim._path))  # type: ignore[attr-defined] # the folder of its metadata
    return unfit


def _lend(root: Path, packages: Path, farm: Farm, *, alone: bool) -> None:
    """Link the packages that are searched before the Space's own, and those that are searched after them.

    `alone`: the farm's own code does not work with the Space's versions, so the farm's versions are searched first.
    """
    first, last = root / "ours", root / "farm"
    for folder in (first, last):
        folder.mkdir()
    for name, module in our_folders().items():
        (first / name).symlink_to(module)
    for package in farm.behind(farm.needs()).values() if alone else ():
        package.lend(first)
    for name in _claims(packages).keys() - {OURS}:
        farm.packages[name].lend(last)


def _write_startup(root: Path, packages: Path) -> None:
    shutil.copyfile(startup.__file__, packages / "_zerofarm_environment.py")
    (packages / "_zerofarm_environment.pth").write_text("import _zerofarm_environment\n")
    for name in ("pip", "pip3"):
        script = root / "bin" / name
        if not script.exists():
            script.write_text(_PIP)
            script.chmod(0o755)


def _versions(packages: Path) -> dict[str, str]:
    return {canonicalize_name(each.metadata["Name"]): each.version for each in distributions(path=[str(packages)])}


def _claims(packages: Path) -> dict[str, Distribution]:
    found = distributions(path=[str(packages)])
    claims = [each for each in found if (each.read_text("INSTALLER") or "").strip() == CLAIMED]
    return {canonicalize_name(each.metadata["Name"]): each for each in claims}
