"""A state directory that cannot be used is refused in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spaces.errors import SpacesError
from spaces.farm.version import VERSION
from spaces_workers.setup import state_dir


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(state_dir.VARIABLE, "")


def test_a_new_one_has_the_version_and_a_folder_for_logs(tmp_path: Path) -> None:
    assert state_dir.shared(tmp_path / "state") == tmp_path / "state"
    assert (tmp_path / "state" / "version").read_text() == f"{VERSION}\n"
    assert (tmp_path / "state" / "logs").is_dir()
    assert os.environ[state_dir.VARIABLE] == str(tmp_path / "state")


@pytest.mark.parametrize("version", [VERSION - 1, VERSION, VERSION + 1])
def test_one_of_a_neighbour_is_used(tmp_path: Path, version: int) -> None:
    (tmp_path / "version").write_text(f"{version}\n")
    assert state_dir.shared(tmp_path) == tmp_path


def test_one_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text(f"{VERSION + 2}\n")
    with pytest.raises(SpacesError, match=f"^the state directory {tmp_path} has version {VERSION + 2} of the farm's"):
        state_dir.shared(tmp_path)


def test_logs_that_are_a_file_are_refused(tmp_path: Path) -> None:
    """It was a traceback."""
    (tmp_path / "logs").touch()
    with pytest.raises(SpacesError, match=f"^{tmp_path}/logs is a file. Move it away, or give another --state-dir$"):
        state_dir.shared(tmp_path)


def test_a_version_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("two")
    with pytest.raises(SpacesError, match=f"^{tmp_path}/version must hold a number, got 'two'"):
        state_dir.shared(tmp_path)
