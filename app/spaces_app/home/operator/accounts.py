"""The accounts that may open the operator's page. `zerofarm` keeps them in a file, which is read at each use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may see the page; an operator may also act."""

    name: str
    role: str
    mark: str  #: changes with the password, or with `[login]`: sessions with another mark are over
    alias: str | None = None  #: what visitors read instead of the name, of somebody who came by the provider

    @property
    def may_act(self) -> bool:
        """Whether the role is more than that of a viewer."""
        return self.role == "operator"


class Accounts:
    """The accounts in a state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "operators.json"

    def find(self, name: str) -> Operator | None:
        """An account by its name."""
        account = self._read().get(name)
        if account is None:
            return None
        return Operator(name, account["role"], sha256(account["password"].encode()).hexdigest()[:16])

    def verified(self, name: str, password: str) -> Operator | None:
        """The account, if this is its password. Takes a twentieth of a second, also for an unknown name."""
        nobody = _password_of_nobody()  # also for a known name, so that both answers take the same time
        account = self._read().get(name)
        try:
            PasswordHasher().verify(account["password"] if account else nobody, password)
        except (VerificationError, InvalidHashError):
            return None
        return self.find(name)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            return dict(json.loads(self._path.read_text()))
        except (FileNotFoundError, ValueError):
            return {}


@cache
def _password_of_nobody() -> str:
    """Compared where a name is unknown, so that the time of an answer does not tell which names there are."""
    return str(PasswordHasher().hash("nobody's password"))
