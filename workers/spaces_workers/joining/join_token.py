"""The token with which one more host joins a farm, once.

The broker is shown one part of it, derived from the secret. Another part, which is sent nowhere, opens the broker's
answer. So a reader of the connection gets neither the token nor the farm's key.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from spaces.errors import RefusedError
from spaces.farm.version import VERSION

_FORM = re.compile(
    r"zfjoin_(?P<version>\d{1,4})_(?P<id>[0-9a-f]{8})_(?P<fingerprint>[0-9a-f]{8})_(?P<secret>[A-Za-z0-9_-]{43})"
)

#: The remedy for a token that is refused.
NEW_ONE = "Make one on the farm's host by `zerofarm token worker`"

_USER = "join-"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A token for one host."""

    version: int  #: of the formats of the farm that made it
    id: str  #: as `zerofarm token list` calls it
    fingerprint: str  #: of the farm's key
    secret: str = field(repr=False)

    @classmethod
    def new(cls, fingerprint: str) -> Self:
        """A token of this farm."""
        return cls(VERSION, secrets.token_hex(4), fingerprint, secrets.token_urlsafe(32))

    @classmethod
    def of(cls, text: str) -> Self:
        """Take a token apart. Raises RefusedError for a text that is none; its message does not repeat the text."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise RefusedError(
                f"a token to join a farm begins with zfjoin_, got {len(text.strip())} characters that are none. "
                f"{NEW_ONE}"
            )
        return cls(int(found["version"]), found["id"], found["fingerprint"], found["secret"])

    @property
    def text(self) -> str:
        """The token as it is typed."""
        return f"zfjoin_{self.version}_{self.id}_{self.fingerprint}_{self.secret}"

    @property
    def user(self) -> str:
        """The broker's user who may fetch the ticket of the token."""
        return user_of(self.id)

    @property
    def password(self) -> str:
        """The password of that user."""
        return self._derived("login").hex()

    @property
    def seal(self) -> bytes:
        """The key of its ticket, as Fernet takes it."""
        return urlsafe_b64encode(self._derived("seal"))

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self.secret.encode(), f"zerofarm join {purpose}".encode(), sha256)


def user_of(token_id: str) -> str:
    """The broker's user of a token."""
    return f"{_USER}{token_id}"


def token_of(user: str) -> str:
    """The id of the token that a user of the broker is for; empty for any other user."""
    return user.removeprefix(_USER) if re.fullmatch(rf"{_USER}[0-9a-f]{{8}}", user) else ""
