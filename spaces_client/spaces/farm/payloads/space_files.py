"""Files that are sent with payloads between hosts without a shared disk, and written to the same path.

A Space passes paths as if it ran on one machine: an upload is named in the arguments, a video in the result, and some
files are not named at all but found by an identifier. So a value is sent with the files that it names, and with those
that its process has written. Only files below the folders in which a Space works are ever read or written here.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from spaces.errors import RefusedError
from spaces.farm.payloads.payload import FileCopy, Stamp
from spaces.farm.units import bytes_in_words

#: The most bytes of files that are sent with one payload.
MOST_BYTES = 256 * 1024 * 1024

#: Written files that are remembered, the latest ones.
MOST_WRITTEN = 200

#: Longer texts are no paths, and are not searched for paths.
_LONGEST_TEXT = 64 * 1024

#: Items of one value that are searched.
_MOST_ITEMS = 10_000

_PATH_IN_TEXT = re.compile(r"/[^\s\"'<>|:;,)\]}]+")


class SpaceFiles:
    """The files of one Space on this host.

    `roots` has the Space's folder; the temporary folders may also have files of its tasks. Files that arrived are
    remembered, so that they are sent back only if they have changed.
    """

    def __init__(self, *roots: Path) -> None:
        self._folders = [folder.resolve() for folder in (*roots, *_temporary_folders())]
        self._prefixes = tuple(f"{folder}/" for folder in self._folders)
        self._uploads = Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir(), "gradio")).resolve()
        self._arrived: dict[str, Stamp] = {}
        self._written: dict[str, None] = {}
        self._writing = threading.RLock()  # the hook runs on every thread, and may call itself
        self._watching = False

    def watch(self) -> None:
        """Record the files that this process writes from now on, for good: Python cannot remove audit hooks."""
        if not self._watching:
            self._watching = True
            sys.addaudithook(self._hear)

    def to_send(self, value: object, sent: Mapping[str, Stamp] | None = None) -> dict[Path, Stamp]:
        """The files to send with a value: those that it names, and those that were written since the last call.

        Unchanged files that arrived from the other side are left out, and so are those in `sent`, the files that this
        reader has got. Raises RefusedError if all together are too large.
        """
        self.watch()
        there = {**self._arrived, **(sent or {})}
        stamps = self._named_or_written(value)
        found = {path: stamp for path, stamp in stamps if stamp != there.get(str(path))}
        size = sum(size for size, _ in found.values())
        if size > MOST_BYTES:
            raise RefusedError(
                f"files of {bytes_in_words(size)} would have to go to another host, but at most "
                f"{bytes_in_words(MOST_BYTES)} may. Let the hosts share a disk, and put large files there"
            )
        return found

    def expected_at(self, copy: FileCopy) -> Path | None:
        """The path to which an arriving file is written: its old path, or None if a newer file is there.

        Hosts may share some folders. Raises ValueError for a path outside of the Space's folders.
        """
        path = self._allowed(copy.path)
        if path is None:
            raise ValueError(f"{copy.path!r} is not in a folder of this Space")
        self._arrived[str(path)] = copy.stamp
        there = _stamp(path)
        newer = there is not None and there[1] > copy.modified_ns
        return None if newer or there == copy.stamp else path

    def write(self, path: Path, copy: FileCopy, content: Iterable[bytes | memoryview]) -> None:
        """Write a file that has arrived, with its time of change. Raises RefusedError where it cannot be written."""
        staging = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            staging.write_bytes(b"".join(content))
            os.utime(staging, ns=(copy.modified_ns, copy.modified_ns))
            staging.replace(path)
        except OSError as error:
            raise RefusedError(
                f"the file {path} cannot be given to the Space, which cannot write to {path.parent}: {error.strerror}. "
                f"Copy it to {tempfile.gettempdir()} itself, and send that path"
            ) from None

    def _named_or_written(self, value: object) -> Iterator[tuple[Path, Stamp]]:
        with self._writing:
            written, self._written = list(self._written), {}
        for text in (*texts(value), *written):
            stamp = _stamp(text)  # first: most texts are no file, and resolving links takes ten times as long
            if stamp is not None and (path := self._allowed(text)) is not None:
                yield path, stamp

    def _allowed(self, text: str) -> Path | None:
        """The text as a path, if that is inside the Space's folders, even after symbolic links."""
        try:
            path = Path(text).absolute()
            real = path.resolve()
        except (OSError, ValueError, RuntimeError):
            return None
        inside = any(real.is_relative_to(folder) and real != folder for folder in self._folders)
        return Path(os.path.normpath(path)) if inside else None

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:  # Any: of all kinds of events
        if event != "open" or not isinstance(arguments[0], str | os.PathLike):
            return
        mode = arguments[1]
        if isinstance(mode, str) and set(mode) & set("wax+"):
            self._note(os.path.abspath(os.fsdecode(arguments[0])))

    def _note(self, path: str) -> None:
        """Record a written file. Uploads are left out, because values name them; caches are outside of the folders."""
        if path.startswith(f"{self._uploads}/") or not path.startswith(self._prefixes):
            return
        with self._writing:
            self._written.pop(path, None)
            self._written[path] = None
            while len(self._written) > MOST_WRITTEN:
                self._written.pop(next(iter(self._written)))


class NamedFiles(SpaceFiles):
    """The files of a program that values name, in its temporary folder; Spaces that are separated have another."""

    def watch(self) -> None:
        """Watch nothing: files that the program writes and does not name are not meant for a Space."""


def _stamp(path: str | Path) -> Stamp | None:
    """The stamp of a file; None if the path is no file, like most texts."""
    try:
        state = os.stat(os.path.abspath(path))
    except (OSError, ValueError):
        return None
    return (state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def _temporary_folders() -> list[Path]:
    named = os.environ.get("GRADIO_TEMP_DIR")
    return [Path(tempfile.gettempdir()), *([Path(named)] if named else [])]


def texts(value: object) -> Iterator[str]:
    """Every text in a value that may be a path, and every path in its texts (JSON, HTML)."""
    waiting, count = [value], 0
    while waiting and count < _MOST_ITEMS:
        count += 1
        with suppress(Exception):  # a value's own code may raise anything when it is asked for what it holds
            yield from _texts_of(waiting.pop(), waiting)


def _texts_of(value: object, waiting: list[object]) -> Iterator[str]:
    """The texts of one value; the values that it holds are put to those that wait."""
    match value:
        case str() as text if len(text) <= _LONGEST_TEXT:
            yield text
            if not os.path.isabs(text) or not os.path.exists(text):
                yield from _PATH_IN_TEXT.findall(text)
        case os.PathLike() as path:
            yield str(path)
        case dict() as table:
            waiting += table.values()
        case list() | tuple() | set() | frozenset() as items:
            waiting += items
        case other if isinstance(named := getattr(other, "path", None), str):
            yield named  # gradio's FileData, and similar dicts
