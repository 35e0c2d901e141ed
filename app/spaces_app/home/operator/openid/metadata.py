"""What a provider says of itself: OpenID Connect Discovery 1.0, section 3."""

from __future__ import annotations

import logging
import re
from typing import Any

from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces_app.home.operator.openid.refusals import LoginRefused

logger = logging.getLogger(__name__)

#: Signatures that only the provider can make: neither none at all, nor those by a shared secret.
_OWN_SIGNATURE = re.compile(r"(RS|PS|ES)\d{3}K?|EdDSA|Ed25519|Ed448")

_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def check_metadata(metadata: dict[str, Any], rules: LoginRules) -> None:  # Any: JSON
    """Check it, and leave in it only what the farm accepts. Raises LoginRefused."""
    title = rules.title
    if metadata.get("issuer") != rules.issuer:
        logger.warning("[login] issuer must be %r: so the provider names itself", metadata.get("issuer"))
        raise LoginRefused(f"{title} names itself otherwise than the farm's settings: the farm's log has the name.")
    if missing := [each for each in _NEEDED if not isinstance(metadata.get(each), str)]:
        raise LoginRefused(f"{title} does not say its {missing[0]}: it does not speak OpenID Connect.")
    signed = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
    metadata["id_token_signing_alg_values_supported"] = [each for each in signed if _OWN_SIGNATURE.fullmatch(each)]
    if "client_secret_post" in metadata.get("token_endpoint_auth_methods_supported", ()):
        metadata["token_endpoint_auth_method"] = "client_secret_post"  # by the other, some secrets arrive changed
