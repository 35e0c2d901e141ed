"""Which level separates Spaces: chosen by the host, demanded by the operator, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.farm.queue import settings
from spaces.farm.queue.rules import IsolationRules
from spaces_workers.doctor.separation import separation
from spaces_workers.sandbox import level as levels
from spaces_workers.sandbox.description import Kind, Level, Place, Sandbox
from spaces_workers.sandbox.level import LevelFault, chosen, shortcoming
from spaces_workers.sandbox.users import NoUserLeft, uid_of


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(levels.VARIABLE, raising=False)


@pytest.fixture
def not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "problem_of", lambda level: "" if level is Level.NONE else "zerofarm is not root")


@pytest.mark.usefixtures("not_root")
def test_a_host_that_can_give_no_level_has_none() -> None:
    assert chosen() is Level.NONE


def test_each_better_level_is_told_with_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container it said only that it was not root, whatever kept it from the level below."""
    lacks = {Level.USERS: "no root", Level.NAMESPACES: "no user namespaces"}
    monkeypatch.setattr(levels, "problem_of", lambda level: lacks.get(level, ""))
    both = "Level users cannot be had: no root. Level namespaces cannot be had: no user namespaces"
    assert shortcoming(Level.NONE) == both
    assert shortcoming(Level.NAMESPACES) == "Level users cannot be had: no root"
    assert shortcoming(Level.USERS) == ""


@pytest.mark.usefixtures("not_root")
def test_a_level_that_is_demanded_and_cannot_be_had_is_refused_with_the_reason() -> None:
    with pytest.raises(LevelFault, match="users, which this host cannot give: zerofarm is not root"):
        chosen(IsolationRules(level="users"))


def test_the_environment_names_the_level_where_the_file_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "problem_of", lambda level: "")
    monkeypatch.setenv(levels.VARIABLE, "none")
    assert chosen() is Level.NONE
    assert chosen(IsolationRules(level="users")) is Level.USERS
    monkeypatch.setenv(levels.VARIABLE, "much")
    with pytest.raises(LevelFault, match="got 'much'"):
        chosen()


@pytest.mark.usefixtures("not_root")
def test_doctor_warns_of_a_low_level_and_names_a_problem_where_a_better_one_is_demanded(tmp_path: Path) -> None:
    assert separation(tmp_path).status == "warning"
    (tmp_path / settings.FILE).write_text('[isolation]\nlevel = "users"\n')
    assert separation(tmp_path).status == "problem"


def test_the_levels_that_the_settings_know_are_those_that_there_are() -> None:
    assert list(settings.LEVELS) == list(Level)


def test_a_space_keeps_its_user_and_shares_it_with_no_other(tmp_path: Path) -> None:
    given = {name: uid_of(tmp_path, name) for name in ("one", "two", "three")}
    assert len(set(given.values())) == 3
    assert {name: uid_of(tmp_path, name) for name in given} == given


def test_more_spaces_than_users_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_workers.sandbox.users.possible", lambda: range(60600, 60602))
    assert {uid_of(tmp_path, "one"), uid_of(tmp_path, "two")} == {60600, 60601}
    with pytest.raises(NoUserLeft, match="all 2 users"):
        uid_of(tmp_path, "three")


def test_a_description_arrives_as_it_was() -> None:
    places = (Place("/dev/null", Kind.DEVICE, "/dev/null"), Place("/tmp", Kind.HOST, "/srv/tmp", writable=True))
    sandbox = Sandbox(Level.USERS, "a", 60600, "/view", "/srv/a", places, ("/sys/fs/cgroup/pids/a/cgroup.procs",))
    assert Sandbox.from_text(sandbox.to_text()) == sandbox
