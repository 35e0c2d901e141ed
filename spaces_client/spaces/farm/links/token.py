"""A token, with which a program or a page of another host reaches the Space that the token names, and no other.

`zerofarm token new` makes it. The farm keeps a digest of it alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from spaces.errors import RefusedError

_FORM = re.compile(r"(?P<shown>zf_[0-9a-f]{8}_[A-Za-z0-9_-]{43})(?:\.(?P<key>[0-9a-f]{64}))?")

#: The remedy for a token that is refused; `{}` is the Space.
NEW_ONE = "Make one on the farm's host by `zerofarm token new --space {}`"


@dataclass(frozen=True, slots=True)
class Token:
    """A token in its two parts."""

    shown: str = field(repr=False)  #: what the gateway is shown
    space_key: bytes = field(repr=False)  #: signs pickles of its Space; empty unless the token is for a page

    @classmethod
    def of(cls, text: str) -> Token:
        """Take a token apart. Raises RefusedError for a text that is none; its message does not repeat the text."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise RefusedError(
                f"a token has the form zf_ID_SECRET, got {len(text)} characters that have not. {NEW_ONE.format('NAME')}"
            )
        return cls(found["shown"], bytes.fromhex(found["key"] or ""))

    @property
    def id(self) -> str:
        """The name by which `zerofarm token list` shows it."""
        return self.shown.split("_", 2)[1]
