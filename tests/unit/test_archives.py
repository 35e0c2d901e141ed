"""The archive of a Space's files: what it was made of comes back, and nothing else can be in it."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from spaces.errors import RefusedError
from spaces.source import Source, unpack


@pytest.fixture
def source(tmp_path: Path) -> Source:
    folder = tmp_path / "space"
    (folder / "inner").mkdir(parents=True)
    (folder / "app.py").write_text("print()")
    (folder / "inner" / "run.sh").write_text("exit")
    (folder / "inner" / "run.sh").chmod(0o775)
    os.utime(folder / "app.py", (1, 1))
    (folder / "link.py").symlink_to("app.py")
    return Source(folder / "app.py")


def test_files_come_back_as_they_were(source: Source, tmp_path: Path) -> None:
    there = tmp_path / "there"
    unpack(source.archive(1000), there)
    assert {path.name: path.read_text() for path in Source(there / "app.py").files()} == {
        "app.py": "print()",
        "link.py": "print()",
        "run.sh": "exit",
    }
    assert (there / "inner" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (there / "app.py").stat().st_mtime == 1


def test_the_python_of_debian_12_can_unpack(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tarfile` of Python 3.11.2 knows no filter: a further host could run no Space."""
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda self, path: None)
    unpack(source.archive(1000), tmp_path / "there")
    assert (tmp_path / "there" / "app.py").read_text() == "print()"


def link(member: tarfile.TarInfo) -> None:
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"


def hard_link(member: tarfile.TarInfo) -> None:
    member.type, member.linkname = tarfile.LNKTYPE, "app.py"


def device(member: tarfile.TarInfo) -> None:
    member.type = tarfile.CHRTYPE


def above(member: tarfile.TarInfo) -> None:
    member.name = "inner/../../outside"


def absolute(member: tarfile.TarInfo) -> None:
    member.name = "/tmp/outside"


def archive_with(change: Callable[[tarfile.TarInfo], None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("app.py"))
        member = tarfile.TarInfo("another")
        change(member)
        archive.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize("change", [link, hard_link, device, above, absolute])
def test_an_archive_with_anything_but_files_below_its_folder_is_refused(
    change: Callable[[tarfile.TarInfo], None], tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match="files below its folder only"):
        unpack(archive_with(change), tmp_path / "there")
    assert list(tmp_path.iterdir()) == []


def of_no_time(member: tarfile.TarInfo) -> None:
    member.pax_headers = {"mtime": "1e30"}


def of_no_number(member: tarfile.TarInfo) -> None:
    member.pax_headers = {"mtime": "nan"}


def with_a_nul(member: tarfile.TarInfo) -> None:
    member.pax_headers = {"path": "an\0other"}


@pytest.mark.parametrize(
    "archive",
    [
        archive_with(of_no_time),
        archive_with(of_no_number),
        archive_with(with_a_nul),
        archive_with(absolute)[:-20],
        b"no archive",
    ],
    ids=["time", "number", "nul", "cut", "text"],
)
def test_an_archive_that_cannot_be_read_is_refused(archive: bytes, tmp_path: Path) -> None:
    """It was an OverflowError, ValueError or EOFError, which callers do not expect."""
    with pytest.raises(RefusedError):
        unpack(archive, tmp_path / "there")
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_has_left_is_removed_and_nothing_else(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker that was killed while it unpacked left a copy of the Space."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    with monkeypatch.context() as killed:
        killed.setattr("spaces.source.shutil.rmtree", lambda *_, **__: None)
        for name in ("old", "young"):
            with pytest.raises(RefusedError):
                unpack(archive_with(above), folder / name)
    (folder / ".old.settings").mkdir()
    for path in folder.iterdir():
        if path.name.startswith(".old."):
            os.utime(path, (1, 1))
    unpack(source.archive(1000), folder / "another")
    left = {path.name.rpartition("-")[0] or path.name for path in folder.iterdir()}
    assert left == {"another", ".old.settings", ".young.unpacking"}
