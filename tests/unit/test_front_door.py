"""Who may ask the home page's API, where Flower's login is, and what a Space's processes inherit."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from spaces.farm.queue import settings
from spaces.farm.queue.settings import SettingsFault
from spaces.farm.queue.settings_file.front_tables import PrivacyRules
from spaces_app.home.app import make_app
from spaces_app.home.snapshots import Snapshots
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.setup import process_environment
from spaces_workers.setup.flower_login import flower_login, login_path


class NoFarm:
    """Has nothing to show."""

    def latest(self) -> Any:  # any: never returned
        raise AssertionError("the request was let through")


def ask(host: str, path: str, *names: str) -> tuple[int, str]:
    app = make_app(cast(Snapshots, NoFarm()), names)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get(path, headers={"Host": host})
    return answer.status_code, answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "localhost.evil.example", "", "[::1", "a b"])
def test_a_page_of_another_site_cannot_ask_the_api(host: str) -> None:
    """A site that lets its own name point to this host could read who uses the farm, and for what."""
    code, text = ask(host, "/api/status")
    assert code == 421
    assert "farm.toml" in text


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:7860", "10.2.3.4", "farm.example:80", "farm.example."],
)
def test_the_api_answers_to_the_names_of_its_host(host: str) -> None:
    assert ask(host, "/api/status", "farm.example")[0] == 500  # and so was let through
    assert ask(socket.gethostname(), "/api/status")[0] == 500


def test_the_page_itself_is_the_same_for_everybody() -> None:
    assert ask("evil.example", "/healthz")[0] == 200


def test_names_and_privacy_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "farm.toml"
    file.write_text('[home]\nhosts = ["Farm.example"]\n[privacy]\narguments = false\nvisitors = "short"\n')
    rules = settings.read(file)
    assert rules.home.hosts == ("farm.example",)
    assert rules.privacy == PrivacyRules(arguments=False, visitors="short")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[privacy]\narguments = 1", r"\[privacy\] arguments must be true or false, got 1"),
        ("[privacy]\nvisitors = true", r'\[privacy\] visitors must be "full" or "short", got True'),
        ("[home]\nhosts = 'a'", r"\[home\] hosts must be a list of names"),
        ("[home]\nhost = ['a']", r"\[home\] has an unknown 'host'; it may have hosts"),
        ("home = 1", r"home must be a table, \[home\], got 1"),
    ],
)
def test_a_wrong_setting_is_named(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "farm.toml").write_text(text)
    with pytest.raises(SettingsFault, match=words):
        settings.read(tmp_path / "farm.toml")


@pytest.mark.parametrize(
    ("visitor", "short"),
    [
        ("user:ada", "user:a…"),
        ("address:10.1.2.3", "address:10.1.…"),
        ("address:2001:db8:1:2::/64", "address:2001:db8:…"),
        ("token:0123456789abcdef", "token:012345…"),
        ("space:digits", "space:digits"),
    ],
)
def test_a_visitor_can_be_shown_shortened(visitor: str, short: str) -> None:
    assert PrivacyRules(visitors="short").shown(visitor) == short
    assert PrivacyRules().shown(visitor) == visitor


def test_flowers_login_is_kept_for_the_farms_user_alone(tmp_path: Path) -> None:
    made = flower_login(tmp_path, {})
    assert made.startswith("zerofarm:")
    assert flower_login(tmp_path, {}) == made == login_path(tmp_path).read_text()
    assert stat.S_IMODE(login_path(tmp_path).stat().st_mode) == 0o600
    assert flower_login(tmp_path, {"FLOWER_BASIC_AUTH": "ada:secret"}) == "ada:secret"


SECRETS = {
    "ZEROFARM_URL": "redis://:secret@broker",
    "REDIS_URL": "redis://:secret@broker",
    "ZEROFARM_KEY": "5ec2e7",
    "ZEROFARM_STATE_DIR": "/secret",
    "ZEROFARM_CONFIG": os.devnull,
    "ZEROFARM_ISOLATION": "users",
    "FLOWER_BASIC_AUTH": "zerofarm:secret",
}


def test_no_process_of_a_space_inherits_what_the_farm_keeps_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    zygote = process_environment.of_zygote(ZygoteSpec("digits", "r", "/app.py", "python", b"k"))
    web = process_environment.of_web("digits", "gateway:///of/the/page", b"k", ("127.0.0.1", 1))
    for environment in (zygote, web, process_environment.of_fork_server()):
        assert {*SECRETS, "ZEROFARM_URL"} & environment.keys() <= {"ZEROFARM_URL"}
        assert environment.keys() >= {name for name in os.environ if not name.startswith("ZEROFARM_")} - SECRETS.keys()
    assert web["ZEROFARM_URL"] == "gateway:///of/the/page"
    assert "ZEROFARM_URL" not in zygote


def test_a_page_that_reaches_the_broker_itself_is_given_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEROFARM_CONFIG", os.devnull)
    web = process_environment.of_web("digits", "redis://of-the-page", b"k", ("127.0.0.1", 1))
    assert web["ZEROFARM_CONFIG"] == os.devnull
