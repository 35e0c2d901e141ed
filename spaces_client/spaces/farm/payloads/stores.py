"""Where the bytes of large payloads wait: as files in one host's shared memory, or as strings in the broker.

Small payloads travel inside their message. A large one is written once by its sender and read once by its receiver; on
one host nobody copies it in between. Every blob has a lifetime: whoever reads it deletes it, and what nobody read is
swept from shared memory, and expires in the broker.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from spaces.errors import RefusedError, SpacesError
from spaces.farm.payload import INLINE_BYTES, Blob, Payload
from spaces.farm.payloads import blob_layout
from spaces.farm.values.codec import Encoded

if TYPE_CHECKING:
    from redis import Redis

#: What a broker takes as one string, unless its `proto-max-bulk-len` says otherwise.
BROKER_BYTES = 512 * 2**20

_NAME = re.compile(r"[0-9a-f]{32}")


class BlobGone(SpacesError, LookupError):
    """A payload's bytes are not where they were: they were read already, or their lifetime is over."""


class Store(Protocol):
    """A place for the bytes of large payloads."""

    def write(self, encoded: Encoded) -> Blob:
        """Keep an encoded value. Raises RefusedError if there is no room for it."""

    def read(self, blob: Blob) -> Encoded:
        """The encoded value. Raises BlobGone if it is not there, ValueError if it is damaged."""

    def delete(self, blob: Blob) -> None:
        """Forget the blob, if it is still there."""

    def holds(self, blob: Blob) -> bool:
        """Whether this is where such a blob would be."""


def pack(encoded: Encoded, store: Store) -> Payload:
    """A payload to put in a message: whole if it is small, else a reference to what `store` now keeps."""
    if encoded.size_bytes <= INLINE_BYTES:
        return Payload(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))
    return Payload(blob=store.write(encoded))


def unpack(payload: Payload, stores: Iterable[Store]) -> Encoded:
    """The encoded value of a payload. Its blob, if it has one, stays: `delete` it when the value has been decoded.

    Raises BlobGone, or ValueError for a blob in a place that none of the stores reaches.
    """
    if payload.blob is None:
        return Encoded(payload.body, payload.buffers)
    return _holder(payload.blob, stores).read(payload.blob)


def discard(payload: Payload, stores: Iterable[Store]) -> None:
    """Delete the blob of a payload, if it has one."""
    if payload.blob is not None:
        _holder(payload.blob, stores).delete(payload.blob)


def move(blob: Blob, source: Store, target: Store) -> Blob:
    """Carry a blob from one store to another, for a receiver that cannot reach the first. The first copy goes."""
    moved = target.write(source.read(blob))
    source.delete(blob)
    return moved


class SharedMemoryStore:
    """Blobs as files in `run_dir/blobs`, readable by this user alone, on the host named `host`.

    Reading maps the file: arrays over it are private to their reader, who may delete the file meanwhile.
    """

    def __init__(self, run_dir: Path, host: str, clock: Callable[[], float] = time.time) -> None:
        self._folder = run_dir / "blobs"
        self._host = host
        self._clock = clock

    def write(self, encoded: Encoded) -> Blob:
        """Write a file. It appears under its name when it is complete."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        unfinished = self._folder / f"{name}.unfinished"
        try:
            size = _write(unfinished, (encoded.body, *encoded.buffers))
            unfinished.rename(self._folder / name)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            needed = encoded.size_bytes / 2**20
            raise RefusedError(f"{self._folder} has no room for a payload of {needed:.1f} MB") from error
        return Blob("file", name, self._host, size)

    def read(self, blob: Blob) -> Encoded:
        """Map the file."""
        try:
            descriptor = os.open(self._path(blob), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise BlobGone(f"the payload {blob.name} is no longer in {self._folder}") from None
        try:
            # A private mapping: what the reader changes is copied, page by page, and nobody else sees it.
            mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
        finally:
            os.close(descriptor)
        return _encoded(memoryview(mapped))

    def delete(self, blob: Blob) -> None:
        """Remove the file."""
        self._path(blob).unlink(missing_ok=True)

    def holds(self, blob: Blob) -> bool:
        """Whether it is a file on this host."""
        return blob.place == "file" and blob.host == self._host

    def sweep(self, older_than: float) -> int:
        """Remove the files that were written more than so many seconds ago, complete or not; return how many."""
        removed = 0
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                with suppress(FileNotFoundError):
                    if self._clock() - entry.stat(follow_symlinks=False).st_mtime > older_than:
                        os.unlink(entry.path)
                        removed += 1
        return removed

    def _path(self, blob: Blob) -> Path:
        """The file of a blob, whose name comes from the network."""
        if not _NAME.fullmatch(blob.name):
            raise ValueError(f"{blob.name!r} is no name of a payload")
        if not self.holds(blob):
            raise ValueError(f"the payload {blob.name} is on host {blob.host!r}, and this is {self._host!r}")
        return self._folder / blob.name


class BrokerStore:
    """Blobs as strings in the broker, each for `lifetime` seconds. `key` names the string of a blob."""

    def __init__(self, redis: Redis, lifetime: float, key: Callable[[str], str]) -> None:
        self._redis = redis
        self._lifetime_ms = max(1, round(lifetime * 1000))
        self._key = key

    def write(self, encoded: Encoded) -> Blob:
        """Send the bytes to the broker."""
        data = b"".join(blob_layout.join((encoded.body, *encoded.buffers)))
        if len(data) > BROKER_BYTES:
            size, most = len(data) // 2**20, BROKER_BYTES // 2**20
            raise RefusedError(f"a payload of {size} MB is too large for the broker, which takes {most} MB")
        name = uuid.uuid4().hex
        self._redis.set(self._key(name), data, px=self._lifetime_ms)
        return Blob("broker", name, "", len(data))

    def read(self, blob: Blob) -> Encoded:
        """Fetch the bytes from the broker."""
        data = cast("bytes | None", self._redis.get(self._named(blob)))
        if data is None:
            raise BlobGone(f"the payload {blob.name} is no longer in the broker, where it lives {self._lifetime_ms} ms")
        return _encoded(memoryview(data))

    def delete(self, blob: Blob) -> None:
        """Remove the string."""
        self._redis.unlink(self._named(blob))

    def holds(self, blob: Blob) -> bool:
        """Whether it is in the broker."""
        return blob.place == "broker"

    def _named(self, blob: Blob) -> str:
        if not _NAME.fullmatch(blob.name) or not self.holds(blob):
            raise ValueError(f"{blob.place} {blob.name!r} is no payload in the broker")
        return self._key(blob.name)


def _holder(blob: Blob, stores: Iterable[Store]) -> Store:
    for store in stores:
        if store.holds(blob):
            return store
    raise ValueError(f"a payload is in the {blob.place} of {blob.host or 'the farm'}, which this process cannot reach")


def _write(path: Path, pieces: Sequence[bytes | memoryview]) -> int:
    """Write a new file and return its size. By `write`, not a mapping: there a full disk is a SIGBUS, here an error."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.writelines(blob_layout.join(pieces))
        return file.tell()


def _encoded(data: memoryview) -> Encoded:
    body, *buffers = blob_layout.split(data)
    return Encoded(body, tuple(buffers))
