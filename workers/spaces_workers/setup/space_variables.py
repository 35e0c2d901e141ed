"""The variables that an operator gives to one Space: `env` and the secrets file of its table in `farm.toml`.

They go from the file to the Space's processes: not to the broker, to a log, or to another Space. `zerofarm up` reads
them for pages, the nursery for zygotes.
"""

from __future__ import annotations

from pathlib import Path

from spaces.farm import size
from spaces.farm.queue import settings
from spaces.farm.queue.rules import SpaceRules
from spaces.farm.queue.settings_file.private_file import SecretsFault, beside, read_private
from spaces.farm.queue.settings_file.space_tables import of_variable


def variables_of_space(name: str) -> dict[str, str]:
    """The variables of a Space, as farm.toml has them now, with that of its `size`. Raises SecretsFault."""
    rules = settings.of_space(name)
    secrets = secrets_in(path) if (path := secrets_path(rules)) else {}
    return {**rules.env, **secrets, **({size.VARIABLE: rules.size} if rules.size else {})}


def secrets_path(rules: SpaceRules) -> Path | None:
    """The file of secrets, which may be named relative to farm.toml; None if the Space has none."""
    if not rules.secrets:
        return None
    return beside(settings.path(), rules.secrets)


def secrets_in(path: Path) -> dict[str, str]:
    """The variables in a file with lines of NAME=value. Raises SecretsFault."""
    found = {}
    for number, line in enumerate(read_private(path).splitlines(), 1):
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
