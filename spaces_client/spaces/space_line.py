"""Finds the line of the Space that led to a call, through libraries and the threads that it starts; for messages."""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

#: Where packages are installed, on every system.
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_STARTED_AT = "spaces_started_at"


def space_line() -> str:
    """`file:line` of the innermost frame in the Space's own code; where there is none, of the code nearest to it."""
    thread = threading.current_thread()
    return own_line() or getattr(thread, _STARTED_AT, None) or _innermost(outside_libraries=True) or _innermost()


def own_line() -> str | None:
    """`file:line` of the innermost frame below the Space's folder, or None."""
    folder = _space_folder()
    for path, line in _frames():
        if path.startswith("<") or (path.startswith(folder) and not _is_installed(path[len(folder) - 1 :])):
            return f"{path}:{line}"
    return None


def remember_start(thread: threading.Thread) -> None:
    """Called where a thread is started: a library that is its target has no frame of the Space above it."""
    line = own_line()
    if line is not None:
        vars(thread)[_STARTED_AT] = line


def _innermost(*, outside_libraries: bool = False) -> str:
    for path, line in _frames():
        if not outside_libraries or not (_is_installed(path) or path.startswith(_library_folders())):
            return f"{path}:{line}"
    return "" if outside_libraries else "unknown line"


def _frames() -> Iterator[tuple[str, int]]:
    """File and line of each frame above, innermost first, but for those of this package and of torch."""
    skipped = ("<frozen", "<eval_with_key>", *_folders_of("spaces", "spaces_workers", "torch"))
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not os.path.isabs(path):
            path = frame.f_globals.get("__file__") or path  # generated code belongs to the module that made it
        if not path.startswith(skipped):
            yield path, frame.f_lineno
        frame = frame.f_back


def _space_folder() -> str:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return (str(Path(script).absolute().parent) if script else os.getcwd()) + os.sep


def _is_installed(path: str) -> bool:
    return any(folder in path for folder in _INSTALLED)


def _folders_of(*packages: str) -> Iterator[str]:
    for name in packages:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            yield os.path.dirname(file) + os.sep


@functools.cache
def _library_folders() -> tuple[str, ...]:
    named = [sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    own_prefix = [sys.prefix] if sys.prefix != sys.base_prefix else []  # of an environment, never of the system
    folders = [*named, *own_prefix, *site.getsitepackages(), site.getusersitepackages()]
    return tuple({path + os.sep for path in folders})
