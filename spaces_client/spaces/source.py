"""A Space's source: its files, the digest of their content, and the archive that is sent to hosts without them."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from spaces.errors import RefusedError

#: Folders that are no part of a Space.
LEFT_OUT = {".git", "__pycache__", ".venv", "venv", "node_modules", ".gradio", ".mypy_cache", ".pytest_cache"}

#: Larger files, mostly weights, enter the digest by size and time of change instead of by content.
_DIGESTED_BYTES = 4 * 1024 * 1024

#: In the names of folders that are being filled. One that is older, in seconds, was left by a process that was killed.
_UNPACKING, _LEFT_AFTER = ".unpacking-", 3600.0


@dataclass(frozen=True, slots=True)
class Source:
    """The script of a Space and the files of its folder. A single `.py` file has none."""

    app_file: Path
    alone: bool = False
    top: Path | None = None  #: the Space's folder, if its README names a script in a subfolder

    @property
    def root(self) -> Path:
        """The folder in which the script runs."""
        return self.top or self.app_file.parent

    def digest(self) -> str:
        """The revision: sixteen hexadecimal digits that change when any file does."""
        total = hashlib.sha256()
        for path in self.files():
            state = path.stat()
            total.update(f"{path.relative_to(self.root)}\0{state.st_size}\0".encode())
            if state.st_size <= _DIGESTED_BYTES:
                total.update(path.read_bytes())
            else:
                total.update(str(state.st_mtime_ns).encode())
        return total.hexdigest()[:16]

    def files(self) -> Iterator[Path]:
        """Every file of the Space, in a fixed order."""
        if self.alone:
            yield self.app_file
            return
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(set(folders) - LEFT_OUT)
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file() and not name.endswith(".pyc"):
                    yield path

    def archive(self, limit_bytes: int) -> bytes:
        """The files as a gzipped tar. Raises RefusedError if they are larger than `limit_bytes`."""
        size = sum(path.stat().st_size for path in self.files())
        if size > limit_bytes:
            raise RefusedError(
                f"{self.root} has {size / 1e6:.1f} MB of files, more than the {limit_bytes / 1e6:.1f} MB that can be "
                "sent to a host without them. Put the folder on a disk that all hosts share, or fetch files at run time"
            )
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1, dereference=True) as archive:
            for path in self.files():
                archive.add(path, arcname=str(path.relative_to(self.root)), recursive=False)
        return buffer.getvalue()


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack an archive into a folder, completely or not at all; no file can get outside of the folder.

    Raises RefusedError for one that has anything but files, or cannot be read.
    """
    if folder.is_dir():
        return
    _remove_left(folder.parent)
    # Not by the process's number, which workers of two containers may share.
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}{_UNPACKING}", dir=folder.parent))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            for member in files:
                _unpack_file(files, member, staging)
        staging.chmod(0o755)
        staging.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process of this host was faster
            raise
    except (ValueError, OverflowError, EOFError, tarfile.TarError, zlib.error) as error:
        raise RefusedError(f"an archive of a Space must be a tar with names and times of files, got {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_left(folder: Path) -> None:
    for path in folder.glob(f".*{_UNPACKING}*"):
        with suppress(OSError):  # another process of this host was faster
            if path.stat().st_mtime < time.time() - _LEFT_AFTER:
                shutil.rmtree(path, ignore_errors=True)


def _unpack_file(files: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """By hand: the filters of `tarfile` are newer than the Python of Debian 12, 3.11.2."""
    path = PurePosixPath(member.name)
    content = files.extractfile(member) if member.isreg() else None
    if content is None or path.is_absolute() or ".." in path.parts:
        raise RefusedError(f"an archive of a Space must have files below its folder only, got {member.name!r}")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(member.mode & 0o755 | 0o600)
    os.utime(target, (member.mtime, member.mtime))
