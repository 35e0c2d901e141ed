"""The ticket of a host that joins: the login of its workers, and the farm's key. It crosses the broker sealed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from cryptography.fernet import Fernet, InvalidToken

from spaces.errors import RefusedError
from spaces_workers.joining.join_token import NEW_ONE, JoinToken


@dataclass(frozen=True, slots=True)
class Ticket:
    """The secrets that a host gets from the farm."""

    login: str = field(repr=False)  #: of its workers at the broker, as in a URL: `worker:password`
    key: str = field(repr=False)  #: the farm's, hexadecimal

    def sealed(self, token: JoinToken) -> bytes:
        """The ticket for the holder of this token alone."""
        return Fernet(token.seal).encrypt(json.dumps(asdict(self)).encode())


def opened(sealed: bytes, token: JoinToken) -> Ticket:
    """Open a ticket. Raises RefusedError if it was not sealed with this token."""
    try:
        found = json.loads(Fernet(token.seal).decrypt(sealed))
    except InvalidToken:
        raise RefusedError(
            f"the ticket that the farm holds for token {token.id} was not made with it. {NEW_ONE}"
        ) from None
    return Ticket(found["login"], found["key"])
