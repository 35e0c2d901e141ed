"""The operators of a farm's page, in a file of its state directory: names, roles, and passwords as argon2 hashes.

The first operator is made at the first start, with a password in a file that only the farm's user can read.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Literal, TypeAlias

from argon2 import PasswordHasher

from spaces_workers.setup.farm_key import kept
from spaces_workers.setup.secret_file import write_secret

Role: TypeAlias = Literal["viewer", "operator"]

FIRST = "operator"


def login_path(state_dir: Path) -> Path:
    """The file with the first operator's login, `operator:PASSWORD`."""
    return state_dir / "operator.login"


def accounts_path(state_dir: Path) -> Path:
    """The file of all accounts, by name."""
    return state_dir / "operators.json"


def keep_operators(state_dir: Path) -> None:
    """Make the first operator, and the key that signs sessions, where they are missing."""
    kept(state_dir / "session.key", secrets.token_urlsafe(32))
    if not accounts_path(state_dir).exists():
        _, _, password = kept(login_path(state_dir), f"{FIRST}:{new_password()}").partition(":")
        set_account(state_dir, FIRST, password, "operator")


def new_password() -> str:
    """A password that nobody guesses."""
    return secrets.token_urlsafe(15)


def set_account(state_dir: Path, name: str, password: str, role: Role) -> None:
    """Add an account or replace it; its sessions end. Raises OSError."""
    _write(state_dir, _read(state_dir) | {name: {"password": PasswordHasher().hash(password), "role": role}})


def remove_account(state_dir: Path, name: str) -> bool:
    """End an account and its sessions. False if there is none."""
    accounts = _read(state_dir)
    known = accounts.pop(name, None) is not None
    if known:
        _write(state_dir, accounts)
    return known


def _read(state_dir: Path) -> dict[str, dict[str, str]]:
    try:
        return dict(json.loads(accounts_path(state_dir).read_text()))
    except FileNotFoundError:
        return {}


def _write(state_dir: Path, accounts: dict[str, dict[str, str]]) -> None:
    write_secret(accounts_path(state_dir), json.dumps(accounts, indent=2))
