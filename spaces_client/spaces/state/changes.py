"""The changed globals that are sent with a call, as the web process writes them and a child reads them."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.payloads.payload import Payload
from spaces.farm.wire import message
from spaces.state.space_globals import Slot


@message
@dataclass(frozen=True, slots=True)
class Change:
    """The change of a global in the web process since the script launched."""

    module: str
    path: str
    name: str
    version: int  #: counts the changes of this global
    inside: bool  #: it is still the same object as at the launch, with other content
    value: Payload | None  #: encoded; None: the name was deleted

    @property
    def slot(self) -> Slot:
        """The global that has changed."""
        return Slot(self.module, self.path, self.name)


@message
@dataclass(frozen=True, slots=True)
class Changes:
    """All changes, sent with every call: a child may have seen none yet, and applies those with a new version."""

    web: str  #: the web process; versions of different web processes cannot be compared
    changes: tuple[Change, ...]
