"""The name and the role of a person, by the claims of the provider."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from spaces.farm.queue.settings_file.login_table import LoginRules
from spaces_app.home.operator.accounts import Operator
from spaces_app.home.operator.openid.refusals import LoginRefused

logger = logging.getLogger(__name__)

#: Characters of a name; what is longer is cut.
LONGEST = 80

Claims = Mapping[str, Any]  # Any: JSON


def operator_of(claims: Claims, rules: LoginRules) -> Operator:
    """Somebody with a role. Raises LoginRefused."""
    label = _label(claims)
    found = values_of(claims, rules.claim)
    if rules.claim == "email" and not _is_verified(claims):
        raise LoginRefused(f"{rules.title} does not say that it has verified the e-mail address of {label}.")
    role = _role(found, rules)
    if not role:
        logger.warning("%s was refused: %s has %s, and nothing that gives a role", label, rules.claim, sorted(found))
        remedy = f"Ask its operator to give one of your {rules.claim} a role."
        raise LoginRefused(f"{label} has no role on this farm. {remedy}")
    name = f"{label} (subject {_clean(claims['sub'])} of {rules.host})"
    return Operator(name, role, rules.mark, alias=label.partition("@")[0])


def has(claims: Claims, name: str) -> bool:
    """Whether there is such a claim, with whatever values."""
    return _found(claims, name) is not None


def values_of(claims: Claims, name: str) -> set[str]:
    """The texts of a claim, which may be a text, a list, or inside another claim: `realm_access.roles`."""
    found = _found(claims, name)
    return {each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str)}


def _found(claims: Claims, name: str) -> Any:  # Any: JSON
    if name in claims:  # such as https://example.org/roles
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _role(values: set[str], rules: LoginRules) -> str:
    if values & set(rules.operators):
        return "operator"
    return "viewer" if values & set(rules.viewers) else ""


def _label(claims: Claims) -> str:
    """The name that people know: the subject is often a number. Without parentheses, which mark the subject."""
    email = claims.get("email") if _is_verified(claims) else None
    label = email or claims.get("preferred_username") or claims["sub"]
    return _clean("".join(each for each in normalize("NFKC", str(label)) if each not in "()"))


def _is_verified(claims: Claims) -> bool:
    return claims.get("email_verified") in (True, "true")


def _clean(text: object) -> str:
    """For a line of a page, of a log and of the record of actions."""
    return "".join(each for each in str(text) if each.isprintable())[:LONGEST]
