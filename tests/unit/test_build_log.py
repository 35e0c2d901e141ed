"""The log of builds, on a disk that is full and in a folder that cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces_workers.isolation import build_log
from spaces_workers.isolation.build_log import BuildLog
from spaces_workers.up.process import Command, Plain


@pytest.fixture(autouse=True)
def nothing_said_before() -> Iterator[None]:
    build_log._complain.cache_clear()
    yield
    build_log._complain.cache_clear()


@pytest.fixture
def full(tmp_path: Path) -> BuildLog:
    log = BuildLog(tmp_path, "painter")
    log.path.parent.mkdir(parents=True)
    log.path.symlink_to("/dev/full")
    return log


@pytest.fixture
def closed(tmp_path: Path) -> BuildLog:
    log = BuildLog(tmp_path, "painter")
    log.path.parent.parent.mkdir(parents=True)
    log.path.parent.write_text("a file in the place of the folder")
    return log


@pytest.mark.parametrize("which", ["full", "closed"])
def test_a_log_that_cannot_be_written_stops_nothing_and_is_told_once(
    which: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """On a full disk `zerofarm restart` failed after the revision was served, and a refusal's reason was lost."""
    said: list[str] = []
    say = request.getfixturevalue(which).beside(said.append)
    say("starting revision 2")
    say("revision 2 is served")
    assert said == ["starting revision 2", "revision 2 is served"]
    assert ["the log of builds is not complete" in each for each in caplog.messages] == [True]


def test_a_page_makes_its_environment_though_its_log_is_full(
    full: BuildLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fd = full.open()
    monkeypatch.setenv(build_log.VARIABLE, str(fd))
    note = build_log.inherited()
    note("making the environment")
    note("made")
    os.close(int(str(fd)))
    assert ["No space left" in each for each in caplog.messages] == [True]


def test_a_page_starts_though_its_log_of_builds_cannot_be_opened(closed: BuildLog, tmp_path: Path) -> None:
    log = tmp_path / "page.log"
    started = Plain(Command(["/bin/echo", "here"], {}, log, build_log=closed))
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    assert (started.wait(), log.read_text()) == (0, "here\n")
