"""Files that travel with a payload between hosts that share no disk, and appear at the same path.

A Space hands paths around as if it were one machine: an upload is named in the arguments, a video in the result, and
some files are named nowhere and found again by an identifier. So what a value names travels with it, and what its
process wrote meanwhile does too. Only files below the folders that a Space works in are ever read or written here.
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

#: What may travel with one payload.
MOST_BYTES = 256 * 1024 * 1024

#: Files written and named nowhere that are remembered, the latest ones.
MOST_WRITTEN = 200

#: Texts longer than this are no paths, and are not searched for any.
_LONGEST_TEXT = 64 * 1024

#: Items of one value that are looked at.
_MOST_ITEMS = 10_000

_PATH_IN_TEXT = re.compile(r"/[^\s\"'<>|:;,)\]}]+")


class SpaceFiles:
    """The files of one Space on this host.

    `root` is the Space's folder; beside it the temporary folders may hold files of its tasks. What arrived is
    remembered, so that it goes back only when it has changed.
    """

    def __init__(self, root: Path) -> None:
        self._folders = [folder.resolve() for folder in (root, *_temporary_folders())]
        self._prefixes = tuple(f"{folder}/" for folder in self._folders)
        self._uploads = Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir(), "gradio")).resolve()
        self._arrived: dict[str, Stamp] = {}
        self._written: dict[str, None] = {}
        self._writing = threading.RLock()  # the hook is called on every thread, and within itself
        self._watching = False

    def watch(self) -> None:
        """From now on notice which files this process writes. Cannot be undone: Python keeps audit hooks for good."""
        if not self._watching:
            self._watching = True
            sys.addaudithook(self._hear)

    def to_send(self, value: object, sent: Mapping[str, Stamp] | None = None) -> dict[Path, Stamp]:
        """The files that a value names, and those written since the last time.

        What arrived and is unchanged stays; so does what is in `sent`, which says what one reader has been sent.
        Raises RefusedError when they are too large together.
        """
        self.watch()
        stamps = {path: _stamp(path) for path in self._named_or_written(value)}
        there = {**self._arrived, **(sent or {})}
        found = {path: stamp for path, stamp in stamps.items() if stamp and stamp != there.get(str(path))}
        size = sum(size for size, _ in found.values())
        if size > MOST_BYTES:
            raise RefusedError(
                f"files of {size / 1e6:.0f} MB would have to travel to another host, at most {MOST_BYTES / 1e6:.0f} MB "
                "may. Let the hosts share a disk, and put large files there"
            )
        return found

    def expected_at(self, copy: FileCopy) -> Path | None:
        """Where a file that arrives is to be written: where it was, but never over a newer one, for which it is None.

        Hosts may share some of their folders. Raises ValueError for a path outside of the Space's folders.
        """
        path = self._allowed(copy.path)
        if path is None:
            raise ValueError(f"{copy.path!r} is no place for a file of this Space")
        self._arrived[str(path)] = copy.stamp
        there = _stamp(path)
        newer = there is not None and there[1] > copy.modified_ns
        return None if newer or there == copy.stamp else path

    def write(self, path: Path, copy: FileCopy, content: Iterable[bytes | memoryview]) -> None:
        """Write a file that has arrived, with its time."""
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = path.with_name(f".{path.name}.{os.getpid()}")
        staging.write_bytes(b"".join(content))
        os.utime(staging, ns=(copy.modified_ns, copy.modified_ns))
        staging.replace(path)

    def _named_or_written(self, value: object) -> Iterator[Path]:
        with self._writing:
            written, self._written = list(self._written), {}
        for text in (*_texts(value), *written):
            path = self._allowed(text)
            if path is not None:
                yield path

    def _allowed(self, text: str) -> Path | None:
        """The path that a text is, if it leads into the Space's folders and not out of them again."""
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
        """Uploads are left out: whoever uses one names it. Caches are, because they are not below these folders."""
        if path.startswith(f"{self._uploads}/") or not path.startswith(self._prefixes):
            return
        with self._writing:
            self._written.pop(path, None)
            self._written[path] = None
            while len(self._written) > MOST_WRITTEN:
                self._written.pop(next(iter(self._written)))


def _stamp(path: Path) -> Stamp | None:
    """None for what is no file, which most texts are not, and some are too long to be."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return (state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def _temporary_folders() -> list[Path]:
    named = os.environ.get("GRADIO_TEMP_DIR")
    return [Path(tempfile.gettempdir()), *([Path(named)] if named else [])]


def _texts(value: object) -> Iterator[str]:
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
            yield named  # gradio's FileData, and what looks like it
