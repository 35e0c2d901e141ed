"""The state directory of a farm: its key, its broker's data, its logs, and the lock of the one farm that uses it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaces.errors import SpacesError

VARIABLE = "ZEROFARM_STATE_DIR"


class StateDirFault(SpacesError):
    """The state directory cannot be used."""


def default_state_dir() -> Path:
    """`$ZEROFARM_STATE_DIR`, else `zerofarm` among this user's state."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "zerofarm"


def usable(folder: Path, option: str = "--state-dir") -> Path:
    """The folder as an absolute path, made if need be. Raises StateDirFault."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = "is a file" if folder.is_file() else f"cannot be made: {error}"
        raise StateDirFault(f"{folder} {why}. Give another {option}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StateDirFault(f"{folder} cannot be written. Give another {option}")
    return folder.resolve()


def shared(folder: Path) -> Path:
    """The folder as `usable` has it, and the one that processes started by this one find in their environment."""
    os.environ[VARIABLE] = str(usable(folder))
    return usable(folder)


@contextmanager
def only_farm(state_dir: Path) -> Iterator[None]:
    """Hold the state directory: one farm uses it at a time. Raises StateDirFault where another one does."""
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
