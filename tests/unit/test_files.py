"""Files that are sent with payloads: their selection, their paths, and the refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from spaces.errors import RefusedError
from spaces.farm.payloads import space_files as module
from spaces.farm.payloads.packer import Packer
from spaces.farm.payloads.payload import FileCopy, Payload
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.payloads.space_files import SpaceFiles
from spaces.farm.values.codec import Codec


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


def sent(files: SpaceFiles, value: object) -> set[str]:
    return {path.name for path in files.to_send(value)}


def packer(files: SpaceFiles, store: SharedMemoryStore, *, one_reader: bool = False) -> Packer:
    """For a reader on another host."""
    return Packer(Codec(), store, files=files, far=lambda: True, one_reader=one_reader)


class Uploaded:
    def __init__(self, path: str) -> None:
        self.path = path


@pytest.mark.parametrize("form", ["path", "text", "list", "dict", "json", "html", "relative", "object"])
def test_a_file_that_a_value_names_travels(root: Path, form: str) -> None:
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
    assert sent(SpaceFiles(root), value) == {"picture.png"}


def test_a_file_outside_of_the_space_stays(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    (root / "link").symlink_to(tmp_path / "secret")
    assert sent(SpaceFiles(root), ["/etc/passwd", str(tmp_path / "secret"), "link", "../secret"]) == set()


@pytest.mark.parametrize("text", ["a cat " * 1000, "/" * 5000, "a\0b", "", ".", "\udcff", "~"])
def test_a_text_that_cannot_be_a_path_is_a_text(root: Path, text: str) -> None:
    """A long prompt once failed as a file name that is too long."""
    assert sent(SpaceFiles(root), text) == set()


def test_a_file_that_was_written_and_is_named_nowhere_travels_once(root: Path) -> None:
    files = SpaceFiles(root)
    files.watch()
    (root / "out.bin").write_bytes(b"1")
    assert sent(files, None) == {"out.bin"}
    assert sent(files, None) == set()
    (root / "out.bin").write_bytes(b"22")
    assert sent(files, None) == {"out.bin"}


def test_files_appear_where_they_were_with_their_time(root: Path, store: SharedMemoryStore) -> None:
    path = root / "deep" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(b"frames" * 50_000)
    os.utime(path, ns=(10**18, 10**18))
    payload = packer(SpaceFiles(root), store).pack_result("f", str(path), "returned")
    path.unlink()
    path.parent.rmdir()
    there = SpaceFiles(root)
    assert packer(there, store).take(payload) == str(path)
    assert path.read_bytes() == b"frames" * 50_000
    assert path.stat().st_mtime_ns == 10**18
    assert sent(there, str(path)) == set()  # what arrived does not go back unchanged


def test_a_newer_file_is_not_written_over(root: Path, store: SharedMemoryStore) -> None:
    """Different hosts may share a folder; a log there lost the lines that were written while its copy was sent."""
    path = root / "log.txt"
    path.write_text("one")
    payload = packer(SpaceFiles(root), store).pack_result("f", str(path), "returned")
    path.write_text("one, two")
    later = payload.files[0].modified_ns + 1
    os.utime(path, ns=(later, later))
    packer(SpaceFiles(root), store).take(payload)
    assert path.read_text() == "one, two"


def test_one_reader_is_sent_a_file_once_until_it_changes(root: Path, store: SharedMemoryStore) -> None:
    path = root / "frame.png"
    path.write_bytes(b"1")
    ours = packer(SpaceFiles(root), store, one_reader=True)
    assert [ours.pack_result("f", str(path), "yielded").files != () for _ in range(2)] == [True, False]
    path.write_bytes(b"22")
    assert [ours.pack_result("f", str(path), "yielded").files != () for _ in range(2)] == [True, False]


def test_a_file_that_cannot_be_read_leaves_no_blob(root: Path, store: SharedMemoryStore, tmp_path: Path) -> None:
    """The files before it stayed in shared memory."""
    for name in ("first", "second"):
        (root / name).write_bytes(bytes(100_000))
    files = SpaceFiles(root)
    found = files.to_send(["first", "second"])
    (root / list(found)[1]).unlink()
    files.to_send = lambda *_: found  # type: ignore[method-assign] # one of them went after it was looked at
    with pytest.raises(FileNotFoundError):
        packer(files, store).pack_result("f", None, "returned")
    assert list((tmp_path / "run" / "blobs").iterdir()) == []


@pytest.mark.parametrize("path", ["/etc/cron.d/x", "../x", "/tmp/../etc/x", "\0"])
def test_a_place_outside_of_the_space_is_refused(root: Path, path: str) -> None:
    with pytest.raises(ValueError, match="is not in a folder of this Space"):
        SpaceFiles(root).expected_at(FileCopy(path, 1, 1, Payload(b"", (b"x",))))


def test_too_much_is_refused_with_the_size(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    (root / "large").write_bytes(bytes(2 * 2**20))
    with pytest.raises(RefusedError, match="files of 2 MiB would have to go"):
        SpaceFiles(root).to_send("large")
