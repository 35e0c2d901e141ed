"""Secrets that a container is given as files: `$NAME_FILE` names the file whose text stands for `$NAME`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from spaces.errors import SpacesError


class SecretMissing(SpacesError):
    """A file that should hold a secret cannot be read."""


def secret(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """`$NAME`, else the text of the file that `$NAME_FILE` names, else empty. Raises SecretMissing."""
    if given := environment.get(name):
        return given
    file = environment.get(f"{name}_FILE")
    if not file:
        return ""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise SecretMissing(f"${name}_FILE names {file}, which cannot be read: {error.strerror}") from None


def write_secret(path: Path, text: str, owner: int | None = None) -> None:
    """Replace a file atomically by one that only this user may read, or the user `owner`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft-{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if owner is not None:
        os.chown(draft, owner, owner)
    draft.replace(path)
