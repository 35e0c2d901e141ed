"""The Unix user of each Space: a number, the same at every start, from a range that `farm.toml` may name.

All that asks for the user of a Space asks here. No entry in /etc/passwd is needed. The numbers that were given are kept
in the state directory, so that two Spaces of a farm never share one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from spaces.errors import SpacesError
from spaces.farm.queue import settings


class NoUserLeft(SpacesError):
    """More Spaces than users."""


def uid_of(state_dir: Path, space: str) -> int:
    """The user and the group of a Space of the farm with this state directory. Raises NoUserLeft."""
    with _locked(state_dir / "users.json") as file:
        given: dict[str, int] = json.loads(file.read_text() or "{}")
        if space not in given:
            given[space] = _free(state_dir, space, set(given.values()), possible())
            draft = file.with_suffix(".draft")
            draft.write_text(json.dumps(given, indent=1))
            draft.replace(file)
        return given[space]


def possible() -> range:
    """All users that Spaces may get."""
    return settings.current().isolation.users


def _free(state_dir: Path, space: str, taken: set[int], users: range) -> int:
    """A number that the names determine, so that farms on one host hardly ever share users."""
    start = int.from_bytes(sha256(f"{state_dir.resolve()}:{space}".encode()).digest()[:4])
    for step in range(len(users)):
        if (uid := users[(start + step) % len(users)]) not in taken:
            return uid
    raise NoUserLeft(
        f"all {len(users)} users of Spaces are given to others. Raise uids under [isolation] in farm.toml, or remove "
        f"those of Spaces that are gone from {state_dir / 'users.json'}"
    )


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """The file, which exists, while no other process reads or writes it."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path.touch(mode=0o600)
        yield path
    finally:
        os.close(lock)
