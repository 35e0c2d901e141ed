"""Checks the settings file that the processes of a farm would read, for `zerofarm doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from spaces.farm.queue import settings
from spaces_workers.doctor.finding import Finding
from spaces_workers.setup.space_variables import SecretsFault, secrets_in


def settings_file(state_dir: Path) -> Iterator[Finding]:
    """Check `$ZEROFARM_CONFIG`, else farm.toml in the state directory; nothing to say if there is neither."""
    path = Path(os.environ.get(settings.VARIABLE) or state_dir / settings.FILE)
    if not path.exists() and not os.environ.get(settings.VARIABLE):
        return
    try:
        rules = settings.read(path)
    except settings.SettingsFault as error:
        yield Finding("settings", "problem", str(error), f"Fix {path}: the farm does not start with it")
        return
    yield Finding("settings", "ok", f"{path} can be used")
    for name, space in rules.spaces.items():
        if space.secrets:
            yield _secrets(name, path.parent / os.path.expanduser(space.secrets))


def _secrets(name: str, path: Path) -> Finding:
    try:
        found = secrets_in(path)
    except SecretsFault as error:
        return Finding("secrets", "problem", str(error), f"Space {name} does not start before")
    return Finding("secrets", "ok", f"{path} has {len(found)} for Space {name}")
