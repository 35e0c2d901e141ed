"""Refuses to start where operators could not log in as `[login]` of farm.toml says."""

from __future__ import annotations

from spaces.farm.queue import settings
from spaces.farm.queue.settings_file.login_secret import login_secret


def check_provider() -> None:
    """Check the file with the secret of the provider, if there is one. Raises SecretsFault."""
    rules = settings.current().login
    if rules.issuer:
        login_secret(rules, settings.path())
