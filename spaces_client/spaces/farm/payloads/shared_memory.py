"""Keeps large payloads as files in the shared memory of one host, where the reader maps them without a copy."""

from __future__ import annotations

import errno
import mmap
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from spaces.errors import BlobGone, RefusedError
from spaces.farm.payloads import blob_layout, own_file
from spaces.farm.payloads.payload import Blob, is_blob_name
from spaces.farm.values.codec import Encoded


class SharedMemoryStore:
    """Blobs as files in `run_dir/blobs`, readable by this user alone, on the host named `host`.

    Files of this user and of the users `owners` are read, and no others.

    Reading maps the file: arrays on the mapping are private to their reader, and survive the file's deletion.
    """

    def __init__(
        self, run_dir: Path, host: str, clock: Callable[[], float] = time.time, owners: Collection[int] = ()
    ) -> None:
        self._folder = run_dir / "blobs"
        self._host = host
        self._owners = {os.getuid(), *owners}
        self._clock = clock

    def write(self, encoded: Encoded) -> Blob:
        """Write a file, which gets its name only when it is complete."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        unfinished = self._folder / f"{name}.unfinished"
        try:
            size = _write(unfinished, (encoded.body, *encoded.buffers))
            unfinished.rename(self._folder / name)
        except BaseException as error:
            unfinished.unlink(missing_ok=True)
            if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            needed = encoded.size_bytes / 2**20
            raise RefusedError(f"{self._folder} has no room for a payload of {needed:.1f} MB") from error
        return Blob("memory", name, self._host, size)

    def read(self, blob: Blob) -> Encoded:
        """Map the file."""
        with self._opened(blob) as descriptor:
            os.utime(descriptor)  # a task that is tried again may need it as long as one that was just pushed
            # A private mapping: the reader's changes are copied page by page, and no other process sees them.
            mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
        return blob_layout.encoded(memoryview(mapped))

    def copy(self, blob: Blob) -> Encoded:
        """Read the file into this process's own memory: its writer could cut off a mapped one, which is a SIGBUS."""
        with self._opened(blob) as descriptor, open(descriptor, "rb", closefd=False) as file:
            data = file.read(blob.size_bytes)
        return blob_layout.encoded(memoryview(data))

    def give(self, blob: Blob, owner: int) -> None:
        """Let another user read a file of this one. Only root can."""
        path = self._path(blob)
        opened = own_file.opened(path.parent, path.name, {os.getuid()}, blob.size_bytes)
        with suppress(ValueError, FileNotFoundError), opened as descriptor:  # its reader tells of an error
            os.fchown(descriptor, owner, owner)

    def delete(self, blob: Blob) -> None:
        """Remove the file."""
        self._path(blob).unlink(missing_ok=True)

    def holds(self, blob: Blob) -> bool:
        """Whether the blob is kept in the shared memory of this host."""
        return blob.place == "memory" and blob.host == self._host

    def sweep(self, older_than: float) -> int:
        """Remove files, complete or not, that were not used for `older_than` seconds; returns their number."""
        removed = 0
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                with suppress(FileNotFoundError):
                    if self._clock() - entry.stat(follow_symlinks=False).st_mtime > older_than:
                        os.unlink(entry.path)
                        removed += 1
        return removed

    @contextmanager
    def _opened(self, blob: Blob) -> Iterator[int]:
        path = self._path(blob)
        try:
            with own_file.opened(path.parent, path.name, self._owners, blob.size_bytes) as descriptor:
                yield descriptor
        except FileNotFoundError:
            raise BlobGone(f"the payload {blob.name} is no longer in {self._folder}") from None

    def _path(self, blob: Blob) -> Path:
        """The file of a blob; checks the name, which comes from the network."""
        if not is_blob_name(blob.name):
            raise ValueError(f"{blob.name!r} is no valid name of a payload")
        if not self.holds(blob):
            raise ValueError(f"the payload {blob.name} is on host {blob.host!r}, and this is {self._host!r}")
        return self._folder / blob.name


def _write(path: Path, pieces: Sequence[bytes | memoryview]) -> int:
    """Write a new file; returns its size. With `write` a full disk is an error; with a mapping it would be a SIGBUS."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.writelines(blob_layout.join(pieces))
        return file.tell()
