"""`zerofarm new` makes a Space, and says how this farm serves it."""

from __future__ import annotations

import socket
from pathlib import Path

from spaces.farm.links.operator_line import SOCKET
from tests.unit.command_run import Run


def advice(run: Run, folder: Path, state_dir: Path) -> str:
    code, told, errors = run("new", folder, "--state-dir", state_dir)
    assert (code, errors) == (0, "")
    return told


def test_a_new_space_is_added_where_a_farm_runs(run: Run, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as farm:
        farm.bind(str(tmp_path / SOCKET))
        farm.listen()
        assert f"`zerofarm add {tmp_path / 'painter'}`" in advice(run, tmp_path / "painter", tmp_path)


def test_a_new_space_is_brought_up_where_no_farm_runs(run: Run, tmp_path: Path) -> None:
    assert f"`zerofarm up {tmp_path / 'painter'}`" in advice(run, tmp_path / "painter", tmp_path)


def test_a_farm_that_was_killed_does_not_run(run: Run, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / SOCKET))
    assert f"`zerofarm up {tmp_path / 'painter'}`" in advice(run, tmp_path / "painter", tmp_path)
