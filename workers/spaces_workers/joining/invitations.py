"""The tokens of hosts that have not joined yet, at the farm's broker: for each a ticket, and a user who may take it.

The user may do nothing else. The ticket is deleted as it is taken, and it expires; then the user can do nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from redis import RedisError, ResponseError
from redis.exceptions import NoPermissionError

from spaces.errors import FarmUnavailable
from spaces.farm.queue.keys import Keys
from spaces_workers.joining.join_token import JoinToken, token_of, user_of
from spaces_workers.joining.ticket import Ticket

if TYPE_CHECKING:
    from redis import Redis


@dataclass(frozen=True, slots=True)
class Invitation:
    """A token that nobody has used yet."""

    id: str
    seconds_left: float


class Invitations:
    """Makes, lists and revokes tokens of hosts, as the operator of the broker. Raises FarmUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keys = Keys()

    def make(self, token: JoinToken, ticket: Ticket, seconds: int) -> None:
        """Let the holder of a token join within so many seconds."""
        key = self._keys.invitation(token.id)
        with _of_operator():
            self._forget_users()
            # before its user: another process that forgets users would remove one that has no ticket yet
            self._redis.set(key, ticket.sealed(token), ex=seconds)
            try:
                self._make_user(token, key)
            except RedisError:
                self._redis.delete(key)
                raise

    def all(self) -> list[Invitation]:
        """The tokens that can still be used, as far as this login may see the broker's users."""
        names = {key.rpartition(b":")[2].decode() for key in self._redis.scan_iter(self._keys.invitation("*"))}
        with suppress(NoPermissionError):
            names &= self._with_user()
        left = {name: self._redis.ttl(self._keys.invitation(name)) for name in names}
        return [Invitation(name, seconds) for name, seconds in sorted(left.items()) if seconds > 0]

    def revoke(self, name: str) -> bool:
        """End a token. Whether it could still be used."""
        found = bool(self._redis.delete(self._keys.invitation(name)))
        if found:
            with _of_operator():
                self._forget_users()
        return found

    def _make_user(self, token: JoinToken, key: str) -> None:
        digest = sha256(token.password.encode()).hexdigest()
        self._redis.acl_setuser(
            token.user,
            enabled=True,
            hashed_passwords=[f"+{digest}"],
            keys=[key],
            commands=["+getdel", "+select"],
            reset=True,
        )

    def _forget_users(self) -> None:
        """Remove the users of tokens that were used, were revoked or have expired."""
        for name in self._with_user():
            if not self._redis.exists(self._keys.invitation(name)):
                self._redis.acl_deluser(user_of(name))

    def _with_user(self) -> set[str]:
        """The tokens that have a user. A broker forgets its users when it is started again."""
        users = (user.decode() if isinstance(user, bytes) else user for user in self._redis.acl_users())
        return {*filter(None, map(token_of, users))}


@contextmanager
def _of_operator() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:
        raise FarmUnavailable(
            f"the broker does not let this login make a user for another host ({error}). Give its operator's login by "
            "--redis-url, or copy the broker's URL and the farm's key to that host yourself (deploy/README.md)"
        ) from None
