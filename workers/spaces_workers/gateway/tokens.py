"""The tokens of a farm, kept in its broker: of each a digest, its Space, what it is for and until when."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from spaces.errors import RefusedError
from spaces.farm.links.token import NEW_ONE, Token
from spaces.farm.queue.keys import TOKEN_REMEMBERED, Keys

if TYPE_CHECKING:
    from redis import Redis


class Use(StrEnum):
    """The purpose of a token."""

    CALL = "call"  #: a program calls functions of the Space
    SERVE = "serve"  #: a page on another host is the Space's own, and brings its code


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token, as the farm knows it."""

    id: str
    space: str
    use: str
    digest: str
    made_at: float | None  #: not known of tokens to join
    expires_at: float
    revoked_at: float | None = None

    @property
    def until(self) -> str:
        """Its last day."""
        return day(self.expires_at)

    def fault(self, now: float) -> str:
        """Why it is not valid any more; empty while it is."""
        if self.revoked_at is not None:
            return f"was revoked on {day(self.revoked_at)}"
        return f"expired on {self.until}" if now >= self.expires_at else ""


class Tokens:
    """Makes, lists, revokes and recognizes tokens. Raises redis's errors."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._key = Keys().tokens()
        self._clock = clock

    def new(self, space: str, seconds: float, use: Use) -> tuple[TokenRecord, str]:
        """Make a token; returns its record and its text, which is known to nobody afterwards."""
        now = self._clock()
        name, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        text = f"zf_{name}_{secret}"
        made = TokenRecord(name, space, use, _digest(text), now, now + seconds)
        self._write(made)
        return made, text

    def all(self) -> list[TokenRecord]:
        """Every token that was made, the oldest first."""
        packed = cast("dict[bytes, bytes]", self._redis.hgetall(self._key)).values()
        return sorted((_unpacked(each) for each in packed), key=lambda record: record.made_at or 0.0)

    def revoke(self, name: str) -> TokenRecord:
        """End a token at once. Raises RefusedError for one that the farm does not know."""
        record = self._find(name)
        if record is None:
            raise RefusedError(f"the farm knows no token {name!r}: see `zerofarm token list`")
        revoked = replace(record, revoked_at=record.revoked_at or self._clock())
        self._write(revoked)
        return revoked

    def holder(self, text: str) -> TokenRecord:
        """The record of a token that is shown. Raises RefusedError, which says what to do."""
        if not text:
            raise RefusedError(
                f"this gateway asks for a token. {NEW_ONE.format('NAME')}, and give it as spaces.Farm(url, token=...) "
                "or $ZEROFARM_TOKEN"
            )
        record = self._find(Token.of(text).id)
        if record is None or not hmac.compare_digest(record.digest, _digest(text)):
            raise RefusedError(f"the farm does not know this token. {NEW_ONE.format('NAME')}")
        if fault := record.fault(self._clock()):
            raise RefusedError(f"token {record.id} {fault}. {NEW_ONE.format(record.space)}")
        return record

    def _find(self, name: str) -> TokenRecord | None:
        packed = cast("bytes | None", self._redis.hget(self._key, name))
        return None if packed is None else _unpacked(packed)

    def _write(self, record: TokenRecord) -> None:
        self._redis.hset(self._key, record.id, json.dumps(asdict(record)))
        last = max(each.expires_at for each in self.all())
        self._redis.expireat(self._key, int(last) + TOKEN_REMEMBERED)


def _unpacked(packed: bytes) -> TokenRecord:
    """A record, without what a newer version has added to it."""
    names = {each.name for each in fields(TokenRecord)}
    return TokenRecord(**{name: value for name, value in json.loads(packed).items() if name in names})


def _digest(text: str) -> str:
    """A token has 256 random bits, so a plain digest gives nothing away."""
    return sha256(text.encode()).hexdigest()


def day(moment: float) -> str:
    """A moment as people read it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
