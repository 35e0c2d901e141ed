"""The description of a provider is checked before a browser is sent to it."""

from __future__ import annotations

from typing import Any

import pytest

from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces_app.home.operator.openid.metadata import accepted
from spaces_app.home.operator.openid.refusals import LoginRefused

RULES = LoginRules(issuer="https://id.example", name="Lab account")


def metadata(**more: Any) -> dict[str, Any]:  # Any: JSON
    known = {name: f"https://id.example/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    return {"issuer": "https://id.example", **known} | more


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_a_provider_without_an_address_is_refused(name: str) -> None:
    with pytest.raises(LoginRefused, match=f"Lab account does not say its {name}"):
        accepted(metadata(**{name: None}), RULES)


@pytest.mark.parametrize("issuer", ["https://id.example/", "https://evil.example", None])
def test_a_provider_of_another_name_is_refused(issuer: str | None) -> None:
    with pytest.raises(LoginRefused, match="names itself otherwise"):
        accepted(metadata(issuer=issuer), RULES)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (["RS256", "none", "HS256"], ["RS256"]),
        (["ES256", "PS384", "EdDSA", "ES256K", "HS512"], ["ES256", "PS384", "EdDSA", "ES256K"]),
        (None, ["RS256"]),
    ],
)
def test_only_signatures_that_the_provider_alone_can_make_are_accepted(told: list[str] | None, kept: list[str]) -> None:
    found = metadata(**({"id_token_signing_alg_values_supported": told} if told else {}))
    assert accepted(found, RULES)["id_token_signing_alg_values_supported"] == kept


@pytest.mark.parametrize(
    ("told", "method"),
    [
        (["client_secret_basic"], None),
        (["client_secret_post", "client_secret_basic"], "client_secret_post"),
        ([], None),
    ],
)
def test_a_secret_goes_the_way_by_which_it_arrives_unchanged(told: list[str], method: str | None) -> None:
    found = metadata(token_endpoint_auth_methods_supported=told)
    assert accepted(found, RULES).get("token_endpoint_auth_method") == method


def test_keys_that_the_farm_does_not_use_are_dropped() -> None:
    """Each key becomes an argument of the HTTP client."""
    told = metadata(verify=False, proxy="http://evil.example", trust_env=False, jwks={"keys": []}, _loaded_at=9e9)
    assert accepted(told, RULES).keys() == accepted(metadata(), RULES).keys()


@pytest.mark.parametrize(
    "name",
    ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"],
)
def test_each_address_is_one_of_https(name: str) -> None:
    with pytest.raises(LoginRefused, match=f"Lab account names an address without https as its {name}"):
        accepted(metadata(**{name: "http://id.example/path"}), RULES)
    with pytest.raises(LoginRefused, match=name):
        accepted(metadata(**{name: "javascript:alert(1)"}), RULES)
    assert accepted(metadata(**{name: "http://127.0.0.1:9000/path"}), RULES)[name] == "http://127.0.0.1:9000/path"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (["HS256"], "Lab account signs with the shared secret alone: choose a signing key there"),
        (["none", "HS256"], "Lab account signs with the shared secret alone: choose a signing key there"),
        (["none"], "Lab account does not sign: choose a signing key there"),
    ],
)
def test_a_provider_that_signs_by_no_key_is_told(told: list[str], words: str) -> None:
    with pytest.raises(LoginRefused, match=words):
        accepted(metadata(id_token_signing_alg_values_supported=told), RULES)


@pytest.mark.parametrize("told", [[], "issuer", None])
def test_a_description_of_another_form_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match="no JSON object"):
        accepted(told, RULES)
