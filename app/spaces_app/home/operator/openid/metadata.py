"""Checks the description that a provider publishes: OpenID Connect Discovery 1.0, section 3."""

from __future__ import annotations

import logging
import re
from typing import Any

from spaces.farm.queue.settings_file.login_table import LoginRules, is_private
from spaces_app.home.operator.openid.refusals import LoginRefused

logger = logging.getLogger(__name__)

Json = dict[str, Any]  # Any: JSON

#: Signatures that only the provider can make: neither none at all, nor those by a shared secret.
_OWN_SIGNATURE = re.compile(r"(RS|PS|ES)\d{3}K?|EdDSA|Ed25519|Ed448")

_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OTHERS = ("userinfo_endpoint", "end_session_endpoint")


def accepted(told: object, rules: LoginRules) -> Json:
    """The keys that the farm uses, checked. Raises LoginRefused, or ValueError or TypeError for another form."""
    if not isinstance(told, dict):
        raise ValueError("the description of the provider is no JSON object")
    title = rules.title
    if told.get("issuer") != rules.issuer:
        logger.warning("[login] issuer must be %r: so the provider names itself", told.get("issuer"))
        raise LoginRefused(f"{title} names itself otherwise than the farm's settings: the farm's log has the name.")
    found = _endpoints(told, title)
    found |= {"issuer": rules.issuer, "id_token_signing_alg_values_supported": _signatures(told, title)}
    if "client_secret_post" in told.get("token_endpoint_auth_methods_supported", ()):
        found["token_endpoint_auth_method"] = "client_secret_post"  # by the other, some secrets arrive changed
    return found


def _endpoints(told: Json, title: str) -> Json:
    if missing := [each for each in _NEEDED if not isinstance(told.get(each), str)]:
        raise LoginRefused(f"{title} does not say its {missing[0]}: it does not speak OpenID Connect.")
    found = {each: str(told[each]) for each in (*_NEEDED, *_OTHERS) if told.get(each)}
    if open_to_others := [each for each, url in found.items() if not is_private(url)]:
        raise LoginRefused(f"{title} names an address without https as its {open_to_others[0]}.")
    return found


def _signatures(told: Json, title: str) -> list[str]:
    signed = told.get("id_token_signing_alg_values_supported", ["RS256"])
    if own := [each for each in signed if _OWN_SIGNATURE.fullmatch(each)]:
        return own
    how = "signs with the shared secret alone" if any(each.startswith("HS") for each in signed) else "does not sign"
    raise LoginRefused(f"{title} {how}: choose a signing key there.")
