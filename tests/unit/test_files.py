"""Files that travel with payloads: which do, where they appear, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from spaces.errors import RefusedError
from spaces.farm.payload import FileCopy, Payload
from spaces.farm.payloads import files as module
from spaces.farm.payloads.files import Files
from spaces.farm.payloads.stores import SharedMemoryStore


@pytest.fixture
def store(tmp_path: Path) -> SharedMemoryStore:
    return SharedMemoryStore(tmp_path / "run", "here")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Space, and nothing else that counts as one."""
    folder = tmp_path / "space"
    folder.mkdir()
    monkeypatch.setattr(module, "_temporary_folders", list)
    monkeypatch.chdir(folder)
    return folder


def sent(files: Files, value: object, store: SharedMemoryStore) -> set[str]:
    return {Path(copy.path).name for copy in files.copies(value, store)}


class Uploaded:
    def __init__(self, path: str) -> None:
        self.path = path


@pytest.mark.parametrize("form", ["path", "text", "list", "dict", "json", "html", "relative", "object"])
def test_a_file_that_a_value_names_travels(root: Path, store: SharedMemoryStore, form: str) -> None:
    path = root / "picture.png"
    path.write_bytes(b"pixels")
    value = {
        "path": path,
        "text": str(path),
        "list": [1, (str(path),)],
        "dict": {"image": {"path": str(path)}},
        "json": json.dumps({"image": str(path)}),
        "html": f'<img src="{path}">',
        "relative": "picture.png",
        "object": Uploaded(str(path)),
    }[form]
    assert sent(Files(root), value, store) == {"picture.png"}


def test_a_file_outside_of_the_space_stays(root: Path, store: SharedMemoryStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    (root / "link").symlink_to(tmp_path / "secret")
    assert sent(Files(root), ["/etc/passwd", str(tmp_path / "secret"), "link", "../secret"], store) == set()


@pytest.mark.parametrize("text", ["a cat " * 1000, "/" * 5000, "a\0b", "", ".", "\udcff", "~"])
def test_a_text_that_cannot_be_a_path_is_a_text(root: Path, store: SharedMemoryStore, text: str) -> None:
    """A long prompt once failed as a file name that is too long."""
    assert sent(Files(root), text, store) == set()


def test_a_file_that_was_written_and_is_named_nowhere_travels_once(root: Path, store: SharedMemoryStore) -> None:
    files = Files(root)
    files.watch()
    (root / "out.bin").write_bytes(b"1")
    assert sent(files, None, store) == {"out.bin"}
    assert sent(files, None, store) == set()
    (root / "out.bin").write_bytes(b"22")
    assert sent(files, None, store) == {"out.bin"}


def test_files_appear_where_they_were_with_their_time(root: Path, store: SharedMemoryStore) -> None:
    path = root / "deep" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(b"frames" * 50_000)
    os.utime(path, ns=(10**18, 10**18))
    copies = Files(root).copies(str(path), store)
    path.unlink()
    path.parent.rmdir()
    there = Files(root)
    there.place(copies, [store])
    assert path.read_bytes() == b"frames" * 50_000
    assert path.stat().st_mtime_ns == 10**18
    assert there.copies(str(path), store) == ()  # what arrived does not go back unchanged


def test_a_newer_file_is_not_written_over(root: Path, store: SharedMemoryStore) -> None:
    """Hosts that count as apart may share a folder; a log there lost what was written while its copy travelled."""
    path = root / "log.txt"
    path.write_text("one")
    copies = Files(root).copies(str(path), store)
    path.write_text("one, two")
    os.utime(path, ns=(copies[0].modified_ns + 1, copies[0].modified_ns + 1))
    Files(root).place(copies, [store])
    assert path.read_text() == "one, two"


@pytest.mark.parametrize("path", ["/etc/cron.d/x", "../x", "/tmp/../etc/x", "\0"])
def test_a_place_outside_of_the_space_is_refused(root: Path, store: SharedMemoryStore, path: str) -> None:
    with pytest.raises(ValueError, match="no place for a file of this Space"):
        Files(root).place([FileCopy(path, 1, 1, Payload(b"", (b"x",)))], [store])


def test_too_much_is_refused_with_the_size(
    root: Path, store: SharedMemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    (root / "large").write_bytes(bytes(2_000_000))
    with pytest.raises(RefusedError, match="files of 2 MB would have to travel"):
        Files(root).copies("large", store)
