"""What a provider says of itself is checked before anybody is sent to it."""

from __future__ import annotations

from typing import Any

import pytest

from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces_app.home.operator.openid.metadata import check_metadata
from spaces_app.home.operator.openid.refusals import LoginRefused

RULES = LoginRules(issuer="https://id.example", name="Lab account")


def metadata(**more: Any) -> dict[str, Any]:  # Any: JSON
    known = {name: f"https://id.example/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    return {"issuer": "https://id.example", **known} | more


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_a_provider_without_an_address_is_refused(name: str) -> None:
    with pytest.raises(LoginRefused, match=f"Lab account does not say its {name}"):
        check_metadata(metadata(**{name: None}), RULES)


@pytest.mark.parametrize("issuer", ["https://id.example/", "https://evil.example", None])
def test_a_provider_of_another_name_is_refused(issuer: str | None) -> None:
    with pytest.raises(LoginRefused, match="names itself otherwise"):
        check_metadata(metadata(issuer=issuer), RULES)


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
    check_metadata(found, RULES)
    assert found["id_token_signing_alg_values_supported"] == kept


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
    check_metadata(found, RULES)
    assert found.get("token_endpoint_auth_method") == method
