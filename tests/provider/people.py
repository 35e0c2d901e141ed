"""Who logs in at the provider, and the faults that its answers may have."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]  # Any: JSON

ADMIN: Json = {"groups": ["lab", "gpu-admins"], "email": "ada@example.org", "email_verified": True}

#: By name, what the token says.
PEOPLE: Mapping[str, Json] = {
    "ada": ADMIN,
    "vera": {"groups": ["lab"], "email": "vera@example.org", "email_verified": True},
    "eve": {"groups": ["visitors"], "preferred_username": "eve"},
    "groupless": {"email": "ada@example.org", "email_verified": False},
    "nested": {"realm_access": {"roles": ["gpu-admins"]}, "preferred_username": "nested<b>"},
    "unsaid": {"groups": ["lab"], "email": "ada@example.org"},
    "mallory": {"groups": ["lab"], "preferred_username": "ada@example.org (subject ada of 127.0.0.1)"},
    "asked-for": {},
    "asked-for-another": {},
}

#: By name, what the provider says when it is asked with the access token.
TOLD: Mapping[str, Json] = {
    "asked-for": ADMIN | {"sub": "asked-for"},
    "asked-for-another": ADMIN | {"sub": "somebody-else"},
}

#: By name, what is wrong with the token of an admin.
FAULTS: Mapping[str, Callable[[Json], Json]] = {
    "wrong-nonce": lambda claims: claims | {"nonce": "another"},
    "no-nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "wrong-audience": lambda claims: claims | {"aud": ["another-farm"]},
    "of-another-farm": lambda claims: claims | {"aud": ["another-farm"], "azp": "zerofarm"},
    "expired": lambda claims: claims | {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600},
    "other-issuer": lambda claims: claims | {"iss": "https://evil.example"},
    "other-hash": lambda claims: claims | {"at_hash": "another"},
}

#: Tokens of an admin that others than the provider could have signed.
SIGNED_OTHERWISE = ("foreign-key", "unsigned", "shared-secret")


def claims_of(name: str) -> Json:
    """What the provider knows of somebody."""
    return {"sub": name} | PEOPLE.get(name, ADMIN)


def is_known(name: str) -> bool:
    """Whether somebody of this name can log in at the provider."""
    return name in (*PEOPLE, *FAULTS, *SIGNED_OTHERWISE)
