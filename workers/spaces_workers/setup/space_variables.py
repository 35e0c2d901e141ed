"""The variables that an operator gives to one Space: `env` and the secrets file of its table in `farm.toml`.

They go from the file to the Space's processes: not to the broker, to a log, or to another Space. `zerofarm up` reads
them for pages, the nursery for zygotes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from spaces.errors import SpacesError
from spaces.farm.queue import settings
from spaces.farm.queue.rules import SpaceRules
from spaces.farm.queue.settings_file.space_tables import of_variable


class SecretsFault(SpacesError):
    """A file of secrets cannot be used. The message names the file and the line, never a value."""


def variables_of_space(name: str) -> dict[str, str]:
    """The variables of a Space, as farm.toml has them now. Raises SecretsFault."""
    rules = settings.of_space(name)
    return {**rules.env, **(secrets_in(path) if (path := secrets_path(rules)) else {})}


def secrets_path(rules: SpaceRules) -> Path | None:
    """The file of secrets, which may be named relative to farm.toml; None if the Space has none."""
    if not rules.secrets:
        return None
    file = settings.path()
    return (file.parent if file else Path()) / os.path.expanduser(rules.secrets)


def secrets_in(path: Path) -> dict[str, str]:
    """The variables in a file with lines of NAME=value. Raises SecretsFault."""
    try:
        with path.open(encoding="utf-8") as file:
            state = os.fstat(file.fileno())
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsFault(
            f"the secrets file {path} cannot be read: {type(error).__name__}. Make it, or fix its name"
        ) from None
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise SecretsFault(f"the secrets file {path} may be read by others: chmod 600 {path}")
    if state.st_uid not in (os.getuid(), 0):
        raise SecretsFault(f"the secrets file {path} belongs to another user: chown it to the farm's user")
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise SecretsFault(f"{path}, line {number} must be NAME=value, or a comment that begins with #")
        if problem := of_variable(name := name.strip().removeprefix("export ")):
            raise SecretsFault(f"{path}, line {number} must have {problem}")
        found[name] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
