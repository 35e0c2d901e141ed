"""Large payloads that a page writes and reads in the broker, in pieces. Who knows the random name may read the blob."""

from __future__ import annotations

from typing import cast

from spaces.errors import RefusedError
from spaces.farm.links.gateway_store import PIECE_BYTES
from spaces.farm.links.messages import ThePiece
from spaces.farm.payloads.broker_store import check_size
from spaces.farm.payloads.payload import is_blob_name
from spaces.farm.queue.keys import PAYLOAD
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import ARCHIVE_LIMIT_BYTES

_LIFETIME_MS = PAYLOAD * 1000


class Blobs:
    """The blobs of one page. Raises RefusedError for names and sizes that no page has to use."""

    def __init__(self, queue: Queue) -> None:
        self._redis = queue.redis
        self._keys = queue.keys

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write a piece; each piece may be written again."""
        key = self._key(name)
        if offset < 0 or offset % PIECE_BYTES or len(data) > PIECE_BYTES:
            raise RefusedError(f"a piece has at most {PIECE_BYTES} bytes, and begins at a multiple of that")
        check_size(offset + len(data))
        if offset > self._redis.strlen(key):
            raise RefusedError("the pieces of a payload are written in order")
        with self._redis.pipeline() as pipe:
            pipe.setrange(key, offset, data)
            pipe.pexpire(key, _LIFETIME_MS)
            pipe.execute()

    def read(self, name: str, offset: int) -> ThePiece:
        """Read a piece."""
        key = self._key(name)
        with self._redis.pipeline() as pipe:
            pipe.strlen(key)
            pipe.getrange(key, max(0, offset), max(0, offset) + PIECE_BYTES - 1)
            pipe.pexpire(key, _LIFETIME_MS)
            size, data, exists = pipe.execute()
        return ThePiece(data, size if exists else -1)

    def drop(self, name: str) -> None:
        """Delete a blob."""
        self._redis.unlink(self._key(name))

    def taken(self, name: str) -> bytes:
        """All of a blob with the files of a Space, which is deleted."""
        key = self._key(name)
        if self._redis.strlen(key) > ARCHIVE_LIMIT_BYTES:
            raise RefusedError(f"the files of a Space may have {ARCHIVE_LIMIT_BYTES} bytes")
        data = cast("bytes | None", self._redis.getdel(key))
        if data is None:
            raise RefusedError("the files of the Space have not arrived")
        return data

    def _key(self, name: str) -> str:
        if not is_blob_name(name):
            raise RefusedError("a payload is named by 32 hexadecimal digits")
        return self._keys.blob(name)
