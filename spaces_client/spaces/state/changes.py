"""The globals that travel with a call, as the web process writes them and a child reads them."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.payloads.payload import Payload
from spaces.farm.wire import message
from spaces.state.space_globals import Slot


@message
@dataclass(frozen=True, slots=True)
class Change:
    """What a global has become in the web process since the script launched."""

    module: str
    path: str
    name: str
    version: int  #: counts the changes of this global
    inside: bool  #: it is still the object that it was at the launch, with other content
    value: Payload | None  #: encoded; None: the name was deleted

    @property
    def slot(self) -> Slot:
        """Which global."""
        return Slot(self.module, self.path, self.name)


@message
@dataclass(frozen=True, slots=True)
class Changes:
    """All of them, each time: a child may have seen none yet, and applies those whose version is new to it."""

    web: str  #: the web process; another one's versions mean other things
    changes: tuple[Change, ...]
