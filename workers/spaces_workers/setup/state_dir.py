"""The state directory of a farm: its key, its broker's data, its logs, and a lock that admits one farm at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaces import config
from spaces.errors import SpacesError
from spaces.farm import log_files
from spaces.farm.version import VERSION, check_version

VARIABLE = config.STATE_DIR


class StateDirFault(SpacesError):
    """The state directory cannot be used."""


def default_state_dir() -> Path:
    """`$ZEROFARM_STATE_DIR`, else `zerofarm` in the user's state folder (`$XDG_STATE_HOME`)."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "zerofarm"


def usable(folder: Path, option: str = "--state-dir") -> Path:
    """Make the folder if it is missing; returns its absolute path. Raises StateDirFault."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = "is a file" if folder.is_file() else f"cannot be made: {error}"
        raise StateDirFault(f"{folder} {why}. Give another {option}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StateDirFault(f"{folder} cannot be written. Give another {option}")
    return folder.resolve()


def shared(folder: Path) -> Path:
    """Like `usable`, and sets `$ZEROFARM_STATE_DIR` to it for the processes that this one starts."""
    found = usable(folder)
    _check_version(found)
    _check_folder(log_files.folder_of(found))
    os.environ[VARIABLE] = str(found)
    return found


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        why = "is a file. Move it away" if folder.is_file() else f"cannot be made ({error})"
        raise StateDirFault(f"{folder} {why}, or give another --state-dir") from None


def _check_version(state_dir: Path) -> None:
    path = state_dir / "version"
    try:
        text = path.read_text().strip() if path.exists() else ""
        if not text:
            path.write_text(f"{VERSION}\n")
    except (OSError, ValueError) as error:
        raise StateDirFault(f"{path} cannot be read or written ({error}). Give another --state-dir") from None
    if text and not text.isdecimal():
        raise StateDirFault(f"{path} must hold a number, got {text[:40]!r}. Remove it, or give another --state-dir")
    check_version(f"the state directory {state_dir}", int(text or VERSION))


@contextmanager
def only_farm(state_dir: Path) -> Iterator[None]:
    """Lock the state directory for one farm. Raises StateDirFault if another farm uses it."""
    lock = os.open(state_dir / "farm.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode()
            raise StateDirFault(
                f"a farm runs in {state_dir} already, as process {holder}. Stop it, or give another --state-dir"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        yield
    finally:
        os.close(lock)
