"""A Space's own environment, as a fork of the fork server has it: its packages over those of the farm.

A fork may only be used where what is in memory is what the Space would import itself: the environment has no other
version of it, and no package that a library would have used if it had found it while it was imported.
"""

from __future__ import annotations

import importlib
import multiprocessing
import site
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from spaces_workers.forkserver.libraries import Preloaded
from spaces_workers.isolation import is_complete
from spaces_workers.isolation.farm_packages import CLAIMED, OURS


def plain_reason(python: Path, preloaded: Preloaded) -> str:
    """Why a Space of this interpreter must import its libraries itself, as a part of a sentence; empty if not."""
    root = _root(python)
    if not is_complete(root):
        return f"it has an interpreter of its own, {python}"
    shared = set()
    for package in distributions(path=[str(_packages(root))]):
        if _is_of_farm(package):
            shared.add(_name(package))
        elif reason := _reason_for(package, preloaded):
            return reason
    if missing := sorted(_behind(preloaded) - shared - {OURS}):
        return f"its environment does not share {missing[0]} with the farm"
    return ""


def enter(python: Path) -> None:
    """Give this process the search path, the interpreter and the packages of an environment."""
    root = _root(python)
    sys.path[:] = [entry for entry in sys.path if _is_standard(entry)]
    sys.prefix = sys.exec_prefix = str(root)
    sys.executable = str(python)
    multiprocessing.set_executable(str(python))
    known: Any = sysconfig  # Any: what it has computed is private
    known._PREFIX = known._EXEC_PREFIX = str(root)
    known._CONFIG_VARS = None
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    site.addsitedir(str(_packages(root)))  # runs `isolation/startup.py`, as at the start of the interpreter
    _tell_transformers(root)


def _reason_for(package: Distribution, preloaded: Preloaded) -> str:
    for module in {*_modules(package), _name(package).replace("-", "_")}:
        if module in preloaded.modules:
            return f"its environment has its own {module}"
        if module in preloaded.missed:
            return f"libraries look for {module} while they are imported, and its environment has it"
    return ""


def _behind(preloaded: Preloaded) -> set[str]:
    """The farm's packages that are in memory."""
    if not preloaded.packages:
        found = packages_distributions()
        names = (name for module in preloaded.modules for name in found.get(module, ()))
        preloaded.packages = frozenset(canonicalize_name(name) for name in names)
    return set(preloaded.packages)


def _tell_transformers(root: Path) -> None:
    """It has listed the packages while it was imported."""
    if listed := getattr(sys.modules.get("transformers.utils.import_utils"), "PACKAGE_DISTRIBUTION_MAPPING", None):
        for package in distributions(path=[str(_packages(root))]):
            if not _is_of_farm(package):
                listed.update({module: [package.metadata["Name"]] for module in _modules(package)})


def _modules(package: Distribution) -> Iterator[str]:
    for file in package.files or ():
        top = file.parts[0]
        if top not in ("..", "__pycache__") and not top.endswith(".dist-info"):
            yield top.partition(".")[0]


def _is_of_farm(package: Distribution) -> bool:
    return (package.read_text("INSTALLER") or "").strip() == CLAIMED


def _name(package: Distribution) -> str:
    return canonicalize_name(package.metadata["Name"])


def _root(python: Path) -> Path:
    return python.parent.parent


def _packages(root: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(root)}))


def _is_standard(entry: str) -> bool:
    """Whether a folder of the search path is the standard library's."""
    library = Path(sysconfig.get_path("stdlib"))
    path = Path(entry)
    archive = path.suffix == ".zip" and path.parent == library.parent
    return archive or path in (library, library / "lib-dynload")
