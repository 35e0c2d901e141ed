"""The secret by which the farm proves to the provider of `[login]` that it is the farm."""

from __future__ import annotations

from pathlib import Path

from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces.farm.queue.settings_file.private_file import SecretsFault, beside, read_private


def login_secret(rules: LoginRules, settings_file: Path | None) -> str:
    """The text of the file that `[login]` names. Raises SecretsFault."""
    path = beside(settings_file, rules.client_secret_file)
    try:
        secret = read_private(path).strip()
    except SecretsFault as fault:
        raise SecretsFault(f"[login] client_secret_file: {fault}") from None
    if not secret:
        raise SecretsFault(f"[login] client_secret_file: {path} is empty. Write the secret of the provider into it")
    return secret
