"""Which files of visitors are old."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from spaces.farm.payloads.old_files import OldFiles

KEEP = 100.0


@pytest.mark.parametrize(("flags", "kept_for"), [(os.ST_RELATIME, 2 * KEEP), (0, KEEP)])
def test_a_file_may_have_been_read_later_than_its_file_system_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, kept_for: float
) -> None:
    """With `relatime` a file went that visitors had read a minute before: only the first read of a day is noted."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flags))
    file = tmp_path / "read"
    file.touch()
    read_at = file.stat().st_ctime + 1
    os.utime(file, (read_at, read_at))
    assert OldFiles(tmp_path, KEEP, lambda: read_at + kept_for - 1).remove() == 0
    assert OldFiles(tmp_path, KEEP, lambda: read_at + kept_for + 1).remove() == 1


def test_a_file_that_was_never_read_is_kept_from_its_writing(tmp_path: Path) -> None:
    file = tmp_path / "written"
    file.touch()
    written_at = file.stat().st_ctime
    assert OldFiles(tmp_path, KEEP, lambda: written_at + KEEP - 1).remove() == 0
    assert OldFiles(tmp_path, KEEP, lambda: written_at + KEEP + 1).remove() == 1
