"""`farm.toml`: its allowed settings, and the messages about others."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from spaces.farm.queue import settings
from spaces.farm.queue.estimates import EstimateRules
from spaces.farm.queue.limits import Limits
from spaces.farm.queue.rules import MemoryRules, Rules, SpaceRules
from spaces.farm.queue.settings import SettingsFault, read, share


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(settings.VARIABLE, "")
    return tmp_path / "farm.toml"


def test_an_empty_file_changes_nothing(file: Path) -> None:
    file.write_text("")
    assert read(file) == Rules()


def test_what_the_file_says_is_used_and_the_rest_is_as_ever(file: Path) -> None:
    file.write_text("[rank]\nweight = 60\nmemory = 5\n[limits]\nspace_queue = inf\nlongest_wait = 90.5\n")
    rules = read(file)
    assert rules.rank == EstimateRules(weight=60, memory=5)
    assert rules.limits == Limits(space_queue=math.inf, longest_wait=90.5)
    assert rules.worker_lease == Rules().worker_lease


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[rank]\nweight = -1", r"farm\.toml, line 2: \[rank\] weight must be a number of at least 0, got -1"),
        ("[rank]\nweight = 'much'", r"\[rank\] weight must be a number of at least 0, got 'much'"),
        ("[rank]\nmemory = 1.5", r"\[rank\] memory must be a whole number of at least 1, got 1\.5"),
        ("[rank]\ncap = true", r"\[rank\] cap must be a number of at least 0, got True"),
        ("[rank]\nfloor = 9\ncap = 3", r"\[rank\] floor must be at most cap, got 9 and 3"),
        ("[spaces.digits]\nfork = 1", r"farm\.toml, line 2: \[spaces\.digits\] fork must be true or false, got 1"),
        ("[spaces.digits]\npreload = 'no'", r"\[spaces\.digits\] preload must be true or false, got 'no'"),
        ("[spaces.digits]\npin = 'yes'", r"\[spaces\.digits\] pin must be true or false, got 'yes'"),
        ("[spaces.digits]\ngroup = 3", "group must be a text, got 3"),
        ("[spaces.digits]\nforks = true", r"\[spaces\.digits\] has an unknown 'forks'; it may have source"),
        (
            "[spaces.digits]\nroot_path = '/digits/'",
            r"root_path must be a path such as \"/digits\", without a last /, got '/digits/'",
        ),
        ("[spaces.digits]\nroot_path = 'digits'", "root_path must be a path .*, got 'digits'"),
        ("[spaces.digits]\nroot_path = 'https://farm.example/digits'", "root_path must be a path"),
        ("[spaces.digits]\nroot_path = true", "root_path must be a path .*, got True"),
        ("[spaces]\ndigits = true", r"\[spaces\.digits\] must be a table, got True"),
        ("[limits]\nlongest_wait = nan", r"longest_wait must be a number of at least 1, got nan"),
        (
            "[limits]\noutcome_lifetime = 0",
            "must be a whole number of at least 1 and at most 86400, got 0",
        ),
        (
            "[isolation]\nfirst_uid = 1",
            "first_uid must be a whole number of at least 1000 and at most 2147483648, got 1",
        ),
        ("[limits]\noutcome_lifetime = 1e9", "at most 86400, got 1000000000.0"),
        ("[limits]\noutcome_lifetime = 86401", "at most 86400, got 86401"),
        ("[limits]\nspace_que = 1", r"\[limits\] has an unknown 'space_que'; it may have space_queue, farm_queue"),
        ("[limit]\n", r"farm\.toml, line 1: has an unknown 'limit'; it may have rank, limits"),
        ("rank = 3", r"rank must be a table, \[rank\], got 3"),
        ("[rank\n", r"farm\.toml is not TOML: "),
    ],
)
def test_a_mistake_is_named(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsFault, match=words):
        read(file)


def test_each_space_has_its_own_rules(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[spaces.digits]\nroot_path = "/of/digits"\nfork = false\npin = true\ngroup = "a"\n')
    monkeypatch.setenv(settings.VARIABLE, str(file))
    assert settings.of_space("digits") == SpaceRules(fork=False, root_path="/of/digits", pin=True, group="a")
    assert settings.of_space("names") == SpaceRules()


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(SettingsFault, match=r"farm\.toml cannot be read: "):
        read(file)


def test_a_process_and_those_that_it_starts_use_the_file_of_their_state_directory(file: Path) -> None:
    share(file.parent)
    assert os.environ[settings.VARIABLE] == ""
    file.write_text("[rank]\nweight = 7\n")
    share(file.parent)
    assert os.environ[settings.VARIABLE] == str(file)
    assert settings.current().rank.weight == 7


def test_a_file_that_the_environment_names_goes_before(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("[rank]\nweight = 7\n")
    named = file.with_name("named.toml")
    named.write_text("[rank]\nweight = 8\n")
    monkeypatch.setenv(settings.VARIABLE, str(named))
    share(file.parent)
    assert settings.current().rank.weight == 8


def test_a_broken_file_stops_whoever_would_use_it(file: Path) -> None:
    file.write_text("[rank]\nweight = -1\n")
    with pytest.raises(SettingsFault):
        share(file.parent)


def test_sleep_is_one_of_three_words(tmp_path: Path) -> None:
    file = tmp_path / "farm.toml"
    file.write_text('[memory]\nsleep = "on"\nhost_gb = 30\n')
    assert read(file).memory == MemoryRules(sleep="on", host_gb=30)
    file.write_text("[memory]\nsleep = true\n")
    with pytest.raises(SettingsFault, match=r"\[memory\] sleep must be one of auto, on, off, got True"):
        read(file)
    file.write_text('[memory]\nsleep = "on"\nbeds = 3\n')
    with pytest.raises(SettingsFault, match="unknown 'beds'; it may have sleep, share, host_gb, pinned_gb"):
        read(file)
