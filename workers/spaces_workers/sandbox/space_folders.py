"""The folders of one Space in the state directory, each owned by its user, all in one that only root may change.

A Space cannot replace one by a link: these are the sources of mounts that root makes.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import SpacesError

#: Variables by which operators keep caches elsewhere than in their home.
CACHES = ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "XDG_CACHE_HOME")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class UnfitName(SpacesError, ValueError):
    """A Space whose name cannot be that of a folder."""


@dataclass(frozen=True, slots=True)
class SpaceFolders:
    """Where a Space may write, beside its own folder."""

    home: Path  #: seen at the operator's home
    temporary: Path  #: seen at /tmp; emptied when the farm starts
    state: Path  #: environments and compiled code, as the state directory of a farm for this Space alone
    beside: Path  #: seen at the folder of a script that is a Space by itself
    caches: Path  #: has a folder for each of `CACHES`, seen where that leads


def state_of(state_dir: Path, space: str) -> Path:
    """The part of the state directory that a Space has where it may not see the rest."""
    return _root(state_dir, space) / "state"


def made(state_dir: Path, space: str, uid: int) -> SpaceFolders:
    """The folders, which exist after that."""
    root = _root(state_dir, space)
    caches = root / "caches"
    for folder in (root.parent, root, caches):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for variable in CACHES:
        _owned(caches / variable, uid)
    home, temporary, state, beside = (_owned(root / name, uid) for name in ("home", "temporary", "state", "beside"))
    return SpaceFolders(home, temporary, state, beside, caches)


def clear_temporary(state_dir: Path) -> None:
    """Empty the temporary folders of all Spaces; none may run."""
    for folder in (state_dir / "spaces").glob("*/temporary"):
        shutil.rmtree(folder, ignore_errors=True)


def _root(state_dir: Path, space: str) -> Path:
    if not _NAME.fullmatch(space):
        raise UnfitName(f"the name of a Space must have small letters, digits and dashes only, got {space!r}")
    return state_dir / "spaces" / space


def _owned(folder: Path, uid: int) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, uid, uid, follow_symlinks=False)
    return folder
