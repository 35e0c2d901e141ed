"""The description of a sandbox: all that `enter.py` does, decided beforehand by a process of the farm.

It travels as text: to the fork server in a message, to a program that is started on its command line. It has no secret.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """How far Spaces are separated from each other and from the farm, the strongest first."""

    USERS = "users"  #: a user for each Space, with its own view of the file system; needs root
    NAMESPACES = "namespaces"  #: its own view of the file system, for the farm's user; needs user namespaces
    NONE = "none"


def in_words(level: Level) -> str:
    """The meaning of a level, for operators."""
    match level:
        case Level.USERS:
            return "Spaces are separated: each has a Unix user of its own, and sees no other Space's files or processes"
        case Level.NAMESPACES:
            return "Spaces are partly separated: none sees another's files, but all have the same Unix user"
        case Level.NONE:
            return "Spaces are not separated: each can read and change what this user can"


class Kind(StrEnum):
    """The content of a place in the sandbox."""

    HOST = "host"  #: a file or folder of the host, with everything that is mounted in it
    OWN = "own"  #: a file or folder of the host, whose owner is shown as the Space's user
    EMPTY = "empty"  #: a new folder in memory
    LINK = "link"  #: a symbolic link
    DEVICE = "device"  #: a device of the host
    PROC = "proc"  #: the processes of the Space's user


@dataclass(frozen=True, slots=True)
class Place:
    """One path in the sandbox. Others may lie below it."""

    path: str
    kind: Kind
    source: str = ""  #: on the host; for a link its target
    writable: bool = False
    mapping: str = ""  #: file of the user namespace that shows the owner as the Space's user; empty: as it is


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The enclosure of one process of a Space, and of all that it starts."""

    level: Level
    space: str
    uid: int  #: of its user and of its group
    root: str  #: an empty folder, to build the view of the file system in
    folder: str  #: the current folder at the start
    places: tuple[Place, ...]  #: those above others first
    groups: tuple[str, ...] = ()  #: files of control groups to be written with a process id

    def to_text(self) -> str:
        """As text, without a line break."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Sandbox:
        """From the text of `to_text`."""
        found = json.loads(text)
        places = tuple(Place(**{**place, "kind": Kind(place["kind"])}) for place in found["places"])
        return cls(**{**found, "level": Level(found["level"]), "places": places, "groups": tuple(found["groups"])})
