"""Reads `[login]` of `farm.toml`: operators log in by OpenID Connect, beside their passwords.

[login]
issuer = "https://id.example.org/realms/lab"  # the provider, as it names itself
client_id = "zerofarm"
client_secret_file = "login.secret"           # a file that only the farm's user can read
claim = "groups"                              # of its values, those below give a role
operators = ["gpu-admins"]
viewers = ["lab"]
name = "Lab account"                          # on the button of the login
scopes = ["groups"]                           # asked for beside openid, profile and email
session = 3600                                # seconds until the provider is asked again
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from spaces.farm.queue.settings_file.allowed import Number
from spaces.farm.queue.settings_file.checks import Checks, checked, is_text, is_texts

#: Seconds after which every session of an operator ends.
LONGEST_SESSION = 12 * 3600

#: Seconds until the provider is asked again, where `session` says nothing: a role that was taken lasts so long.
ASKED_AGAIN = 3600

#: Hosts at which a provider may be asked without TLS.
_HERE = ("localhost", "127.0.0.1", "::1")

_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class LoginRules:
    """The provider by which operators log in, and who gets which role."""

    issuer: str = ""  #: the provider, as it names itself; empty: operators have passwords alone
    client_id: str = ""  #: the name that the provider gave to this farm
    client_secret_file: str = ""  #: a file beside farm.toml with the secret, which only the farm's user can read
    claim: str = "groups"  #: of what the provider says of somebody, the part that gives the role
    operators: tuple[str, ...] = ()  #: values of the claim whose people may act
    viewers: tuple[str, ...] = ()  #: values of the claim whose people may look
    name: str = ""  #: the provider, as the button of the login has it; empty: its host
    scopes: tuple[str, ...] = ()  #: asked for beside openid, profile and email
    session: float = ASKED_AGAIN  #: seconds until the provider is asked again

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> LoginRules:  # Any: parsed TOML
        """The rules in the parsed settings. Raises ValueError, which names the setting."""
        found = checked(tables, "login", _ALLOWED)
        if "login" in tables:
            _refuse_gaps(found)
        given: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in found.items()}
        return cls(**given)

    @property
    def metadata_url(self) -> str:
        """Where the provider describes itself: OpenID Connect Discovery 1.0, section 4."""
        return f"{self.issuer.rstrip('/')}{_DISCOVERY}"

    @property
    def host(self) -> str:
        """The provider's host."""
        return urlsplit(self.issuer).hostname or self.issuer

    @property
    def title(self) -> str:
        """The provider, as people call it."""
        return self.name or self.host

    @property
    def mark(self) -> str:
        """Changes with the rules: sessions that began by others are over."""
        return sha256(repr(self).encode()).hexdigest()[:16]


def is_private(url: str) -> bool:
    """Whether nobody on the way reads what is sent to this URL: by TLS, or to this host. Raises ValueError."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE))


def _refuse_gaps(found: Mapping[str, Any]) -> None:  # Any: parsed TOML
    for key, remedy in _NEEDED.items():
        if key not in found:
            raise ValueError(f"[login] {key} is missing: {remedy}")
    if not found.get("operators") and not found.get("viewers"):
        raise ValueError(
            '[login] operators are missing: name the values of the claim that give the role, as ["admins"]'
        )


def _is_issuer(value: object) -> bool:
    if not isinstance(value, str) or value.rstrip("/").endswith(_DISCOVERY):
        return False
    parts = urlsplit(value)
    return is_private(value) and not (parts.query or parts.fragment or parts.username)


def _are_scopes(value: object) -> bool:
    return is_texts(value) and not any(" " in each for each in value)


_ALLOWED: Checks = {
    "issuer": (_is_issuer, f'the https address of the provider, as "https://id.example.org", without {_DISCOVERY}'),
    "client_id": (is_text, "a text, as the provider shows it"),
    "client_secret_file": (is_text, "the name of a file that has the secret"),
    "claim": (is_text, 'the name of a claim, as "groups", or of one inside another, as "realm_access.roles"'),
    "operators": (is_texts, "a list of texts, the values that give the role"),
    "viewers": (is_texts, "a list of texts, the values that give the role"),
    "name": (is_text, "a text, which the login shows"),
    "scopes": (_are_scopes, 'a list of texts without spaces, as ["groups"]'),
    "session": (Number(60, LONGEST_SESSION).allows, f"a number of seconds from 60 to {LONGEST_SESSION}"),
}

_NEEDED = {
    "issuer": "write the address of the provider",
    "client_id": "write the name that the provider gave to this farm",
    "client_secret_file": "write the secret that the provider gave to this farm into a file, and name it",
}
