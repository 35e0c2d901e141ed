"""The parts of a child's host memory that it could share with other children, by name, as its worker knows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from spaces_workers.child.sleep.host_memory import SMALL
from spaces_workers.link.sleep_messages import HostCopy

#: The most parts that a worker notes, and the bytes of a name. A child has up to 256 parts at each sleep.
MOST, NAME_BYTES = 1024, 16

#: The most copies by the name of a part with which it is compared: a child can give other bytes the same name.
TRIES = 4


class Copies:
    """The parts of one child."""

    def __init__(self) -> None:
        self.sizes: dict[bytes, int] = {}  #: of all that could be shared
        self.shared: dict[bytes, bytes] = {}  #: the keys of those that are, by name
        self.unlike: set[bytes] = set()  #: those that cannot be shared after all
        self.misses: dict[bytes, int] = {}  #: how many common copies by its name have other bytes

    def hear(self, told: Sequence[HostCopy], at_most: int = 0) -> None:
        """Replace all parts by those that the child has told; by none if they have more than `at_most` bytes.

        Parts that are too small to be shared are left out: a worker holds a descriptor for each part that is shared.
        """
        known = {each.name: each for each in told[:MOST] if len(each.name) == NAME_BYTES and each.size >= SMALL}
        if sum(each.size for each in known.values()) > at_most:
            known = {}
        self.shared = {name: key for name, key in self.shared.items() if name in known and known[name].is_shared}
        self.unlike &= known.keys()
        self.misses = {name: count for name, count in self.misses.items() if name in known}
        self.sizes = {name: each.size for name, each in known.items()}

    def miss(self, name: bytes) -> None:
        """Note that a common copy by this name has other bytes."""
        self.misses[name] = self.misses.get(name, 0) + 1
        if self.misses[name] == TRIES:
            self.unlike.add(name)

    @property
    def shared_bytes(self) -> int:
        """Bytes that the child shares."""
        return sum(self.by_key().values())

    def by_key(self) -> dict[bytes, int]:
        """The bytes of each shared part."""
        return {key: self.sizes.get(name, 0) for name, key in self.shared.items()}


def common_bytes(all_copies: Collection[Copies]) -> int:
    """Bytes that these children share, each part once."""
    return sum({key: size for each in all_copies for key, size in each.by_key().items()}.values())
