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


@pytest.mark.parametrize("change", [link, hard_link, device, above, absolute])
def test_an_archive_with_anything_but_files_below_its_folder_is_refused(
    change: Callable[[tarfile.TarInfo], None], tmp_path: Path
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("app.py"))
        member = tarfile.TarInfo("another")
        change(member)
        archive.addfile(member)
    with pytest.raises(RefusedError, match="files below its folder only"):
        unpack(buffer.getvalue(), tmp_path / "there")
    assert list(tmp_path.iterdir()) == []
