"""Removes from a page's folder of Gradio's cache the files that nobody has used for long: uploads, and shown results.

A file is used when it is written or read, and as long as a call of a GPU function that names it is open. Most kernels
note only the first read of a day (`relatime`), so a file that has been read stays for up to a day longer. Files that
the script itself has put there, such as examples, stay. The farm gives each Space a folder of its own, and says how
long; a script that chooses another folder keeps its files itself. Gradio is never imported here.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from spaces import config
from spaces.farm.payloads.space_files import texts

logger = logging.getLogger(__name__)

#: Gradio's variable for the folder.
FOLDER = "GRADIO_TEMP_DIR"

#: Seconds between two looks. An earlier revision's page, which may show files that only its own script knows, ends
#: before the first.
INTERVAL = 3600.0

#: Seconds in which a kernel notes no second read of a file, with `relatime`.
_UNNOTED = 86400.0

_blocks: WeakSet[Any] = WeakSet()  # Any: gradio's Block
_held: WeakKeyDictionary[object, set[str]] = WeakKeyDictionary()  #: the files that a call names
_change = threading.Lock()


class OldFiles:
    """The files of one folder, which are removed `keep` seconds after their last use, or at most twice as much."""

    def __init__(self, folder: Path, keep: float, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self.keep = keep  #: seconds
        self._clock = clock

    def remove(self, kept: Collection[str] = ()) -> int:
        """Remove those that are old, except `kept`; returns how many. Empty folders go as they get old themselves."""
        removed, unnoted = 0, min(self.keep, _unnoted(self._folder))
        for name, folders, files in os.walk(self._folder, topdown=False):
            for path in (os.path.join(name, file) for file in files):
                if path not in kept and self._is_old(path, lambda state: _last_use(state, unnoted)):
                    with suppress(OSError):  # it is gone already, or belongs to another user
                        os.unlink(path)
                        removed += 1
            for path in (os.path.join(name, folder) for folder in folders):
                if self._is_old(path, lambda state: state.st_ctime):  # this look has read it
                    with suppress(OSError):  # it is not empty
                        os.rmdir(path)
        return removed

    def named_in(self, value: object) -> set[str]:
        """The files that a value names."""
        return {text for text in texts(value) if text.startswith(f"{self._folder}{os.sep}")}

    def _is_old(self, path: str, used_at: Callable[[os.stat_result], float]) -> bool:
        try:
            return self._clock() - used_at(os.lstat(path)) > self.keep
        except OSError:
            return False


def _last_use(state: os.stat_result, unnoted: float) -> float:
    """The latest moment at which a file may have been used."""
    return state.st_atime + unnoted if state.st_atime > state.st_ctime else state.st_ctime


def _unnoted(folder: Path) -> float:
    with suppress(OSError):  # there is no file yet
        return _UNNOTED if os.statvfs(folder).f_flag & os.ST_RELATIME else 0.0
    return 0.0


def watch(blocks: ModuleType) -> None:
    """Know all parts of pages, and so their files; for `gradio.blocks`."""
    original = blocks.Block.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **options: Any) -> None:  # Any: Gradio's own
        original(self, *args, **options)
        with _change:
            _blocks.add(self)

    blocks.Block.__init__ = init


def hold(call: object, value: object) -> None:
    """Remove no file that a value names while the call exists: it may wait for hours."""
    if (files := _of_process()) is not None and (named := files.named_in(value)):
        with _change:
            _held[call] = named


@functools.cache
def begin() -> None:
    """Remove old files from now on, in a thread: the script has been run. Further calls have no effect."""
    if (files := _of_process()) is not None:
        of_script = _files_of_blocks("temp_files", "keep_in_cache")
        threading.Thread(target=_remove_for_ever, args=(files, of_script), name="old-files", daemon=True).start()


def _remove_for_ever(files: OldFiles, of_script: set[str]) -> None:
    while True:
        time.sleep(min(INTERVAL, files.keep))
        if removed := files.remove(of_script | _files_of_blocks("keep_in_cache") | _held_files()):
            logger.info("%d files of visitors, unused for %g s, were removed", removed, files.keep)


def _files_of_blocks(*names: str) -> set[str]:
    with _change:
        blocks = list(_blocks)
    return {path for block in blocks for name in names for path in tuple(getattr(block, name, ()))}


def _held_files() -> set[str]:
    with _change:
        return {path for named in list(_held.values()) for path in named}


@functools.cache
def _of_process() -> OldFiles | None:
    keep = os.environ.get(config.KEEP_FILES)
    return OldFiles(Path(os.environ[FOLDER]), float(keep)) if keep else None
