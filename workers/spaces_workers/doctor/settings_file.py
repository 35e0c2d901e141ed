"""Checks the settings file that the processes of a farm would read, for `zerofarm doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from spaces.farm.queue import settings
from spaces.farm.queue.settings_file.login_secret import login_secret
from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces.farm.queue.settings_file.private_file import SecretsFault, beside
from spaces_workers.doctor.finding import Finding
from spaces_workers.setup.space_variables import secrets_in


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
            yield _secrets(name, beside(path, space.secrets))
    if rules.login.issuer:
        yield _login(rules.login, path)


def _secrets(name: str, path: Path) -> Finding:
    try:
        found = secrets_in(path)
    except SecretsFault as error:
        return Finding("secrets", "problem", str(error), f"Space {name} does not start before")
    return Finding("secrets", "ok", f"{path} has {len(found)} for Space {name}")


def _login(rules: LoginRules, path: Path) -> Finding:
    try:
        login_secret(rules, path)
    except SecretsFault as error:
        return Finding("login", "problem", str(error), "The farm does not start before")
    return Finding("login", "ok", f"operators log in by {rules.title}; its answers are seen at the first login only")
