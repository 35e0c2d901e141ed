"""Files of a Space on one host, and between two hosts whose disks cannot see each other."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from tests.harness import SPACES, Farm, farm


def separate_disks_possible() -> bool:
    """Whether this machine allows a process its own mounts."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module", params=["one host", "two hosts"])
def visitor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A visitor of the Space `papers`, whose worker has the same disk, or another one."""
    far = request.param == "two hosts"
    if far and not separate_disks_possible():
        pytest.skip("a disk of its own for the worker needs mount namespaces: run as root")
    folder = tmp_path_factory.mktemp("farm")
    disk = folder / "disk"
    shutil.copytree(SPACES / "papers", disk / "papers")
    (disk / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch, farm(folder) as made:
        patch.setenv("TMPDIR", str(disk / "tmp"))
        start(made, disk, far=far)
        url = made.start_web("papers", disk / "papers" / "app.py")
        with closing(Client(url, verbose=False)) as visitor:
            yield visitor


def start(made: Farm, disk: Path, *, far: bool) -> None:
    if far:
        hide = f"mount -t tmpfs none {disk} && mkdir {disk}/tmp"
        made.start_worker(
            "far", host="another-host", within=["unshare", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh"]
        )
    else:
        made.start_worker()


@pytest.fixture
def paper(tmp_path: Path) -> str:
    path = tmp_path / "paper.txt"
    path.write_text("a paper")
    return str(path)


def test_an_upload_is_read_and_a_result_written_by_the_worker(visitor: Client, paper: str) -> None:
    stamped = visitor.predict(handle_file(paper), api_name="/stamp")
    assert Path(stamped).read_text() == "a paper stamped"


def test_files_found_by_an_identifier_are_there_on_both_sides(visitor: Client) -> None:
    assert visitor.predict("a draft", api_name="/hand_in") == "a draft reviewed True"


def test_files_are_there_when_their_names_are_yielded(visitor: Client, paper: str) -> None:
    assert visitor.predict(handle_file(paper), api_name="/pages") == ["page 0", "page 1"]
