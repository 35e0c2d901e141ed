"""Reads files with secrets that `farm.toml` names: files that only the farm's user can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from spaces.errors import SpacesError


class SecretsFault(SpacesError):
    """A file of secrets cannot be used. The message names the file and the line, never a value."""


def read_private(path: Path) -> str:
    """The text of a file that others cannot read. Raises SecretsFault."""
    try:
        with path.open(encoding="utf-8") as file:
            state = os.fstat(file.fileno())
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsFault(
            f"the secrets file {path} cannot be read: {type(error).__name__}. Make it, or fix its name"
        ) from None
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise SecretsFault(f"the secrets file {path} may be read by others: chmod 600 {path}")
    if state.st_uid not in (os.getuid(), 0):
        raise SecretsFault(f"the secrets file {path} belongs to another user: chown it to the farm's user")
    return text


def beside(settings_file: Path | None, name: str) -> Path:
    """The file that the settings file names, maybe relative to itself."""
    return (settings_file.parent if settings_file else Path()) / os.path.expanduser(name)
