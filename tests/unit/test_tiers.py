"""The operator's settings of quotas: the allowed ones, and refusals that name the setting."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from spaces.farm.queue import settings
from spaces.farm.queue.quota import clock
from spaces.farm.queue.settings import SettingsFault
from spaces.farm.queue.settings_file.tiers import QuotaRules, Tier, visitor_name

EXAMPLE = """
[quota]
enabled = true
half_life = 1800
usage_weight = 0.5
trusted_proxies = ["10.0.0.0/8", "127.0.0.1"]

[tiers.anonymous]
daily = 300
longest = 120
parallel = 2

[tiers.member]
daily = 14400

[visitors]
ada = "member"
"token:0123" = "member"
"""


def rules(text: str) -> QuotaRules:
    return QuotaRules.from_tables(tomllib.loads(text))


def test_every_word_is_understood() -> None:
    found = rules(EXAMPLE)
    assert found == QuotaRules(
        enabled=True,
        half_life=1800.0,
        usage_weight=0.5,
        trusted_proxies=("10.0.0.0/8", "127.0.0.1"),
        tiers={"anonymous": Tier("anonymous", 300.0, 120.0, 2), "member": Tier("member", 14400.0)},
        visitors={"user:ada": "member", "token:0123": "member"},
    )


def test_quotas_are_off_unless_they_are_turned_on() -> None:
    assert not rules("").enabled
    assert not rules("[tiers.user]\ndaily = 60").enabled


@pytest.mark.parametrize(
    ("visitor", "tier"),
    [
        ("user:ada", Tier("member", 14400.0)),
        ("user:grace", Tier("user")),
        ("token:0123", Tier("member", 14400.0)),
        ("address:10.0.0.7", Tier("anonymous", 300.0, 120.0, 2)),
        ("space:digits", Tier("space")),
    ],
)
def test_who_is_in_which_tier(visitor: str, tier: Tier) -> None:
    assert rules(EXAMPLE).tier(visitor) == tier


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("quota = 3", "[quota] must be a table, got 3"),
        ("[quota]\nenabled = 1", "[quota] enabled must be true or false, got 1"),
        ("[quota]\nenable = true", "[quota] has an unknown 'enable'; it may have enabled, half_life, usage_weight"),
        ("[quota]\nhalf_life = 0", "[quota] half_life must be a number of at least 1, got 0"),
        ("[quota]\nusage_weight = -1", "[quota] usage_weight must be a number of at least 0, got -1"),
        (
            "[quota]\ntrusted_proxies = '10.0.0.1'",
            "[quota] trusted_proxies must be a list of addresses and networks, got '10.0.0.1'",
        ),
        ("[quota]\ntrusted_proxies = ['*']", "[quota] trusted_proxies must be addresses or networks, got '*'"),
        ("[quota]\ntrusted_proxies = [7.5]", "[quota] trusted_proxies must be addresses or networks, got 7.5"),
        ("[tiers]\nuser = 60", "[tiers.user] must be a table, got 60"),
        ("[tiers.user]\nhourly = 60", "[tiers.user] has an unknown 'hourly'; it may have daily, longest, parallel"),
        ("[tiers.user]\ndaily = '60 s'", "[tiers.user] daily must be a number of at least 0, got '60 s'"),
        ("[tiers.user]\nlongest = nan", "[tiers.user] longest must be a number of at least 0, got nan"),
        ("[tiers.user]\nparallel = 1.5", "[tiers.user] parallel must be a whole number of at least 1, got 1.5"),
        ("[tiers.user]\nparallel = 0", "[tiers.user] parallel must be a whole number of at least 1, got 0"),
        (
            "[tiers.user]\n[visitors]\nada = 'boss'",
            "[visitors] ada must be one of the tiers user, anonymous, space, got 'boss'. Add [tiers.boss]",
        ),
        (
            "[tiers.user]\n[visitors]\nada = [1]",
            "[visitors] ada must be one of the tiers user, anonymous, space, got [1]",
        ),
    ],
)
def test_what_is_refused_is_named(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        rules(text)
    file = tmp_path / "farm.toml"
    file.write_text(text)
    with pytest.raises(SettingsFault) as fault:
        settings.read(file)
    assert re.fullmatch(rf"{re.escape(str(file))}, line \d+: {re.escape(str(caught.value))}", str(fault.value))


def test_the_settings_of_a_farm_have_its_quotas(tmp_path: Path) -> None:
    file = tmp_path / "farm.toml"
    file.write_text(EXAMPLE)
    assert settings.read(file).quota == rules(EXAMPLE)


def test_a_visitor_may_be_in_a_tier_without_a_table() -> None:
    assert rules("[visitors]\nada = 'anonymous'").tier("user:ada") == Tier("anonymous")


@pytest.mark.parametrize(
    ("given", "name"),
    [("ada", "user:ada"), ("user:ada", "user:ada"), ("a:b", "user:a:b"), ("address:10.0.0.7", "address:10.0.0.7")],
)
def test_a_plain_name_is_a_login(given: str, name: str) -> None:
    assert visitor_name(given) == name


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0:00:00"), (3723.2, "1:02:04"), (86400.0, "24:00:00")])
def test_a_wait_is_told_as_zerogpu_tells_it(seconds: float, text: str) -> None:
    assert clock(seconds) == text
