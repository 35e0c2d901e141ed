"""One copy in host memory for all children that have the same bytes, also those of other Spaces and workers of a host.

Children name their parts, but a name is only a hint. This worker compares the bytes before it gives a child the copy of
another: so no child gets bytes that it does not have, and none gets other bytes than its own.

A part that differs from the common copy of its name is compared with the next copy of that name, or becomes it.
"""

from __future__ import annotations

import logging
import math
import os
import resource
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import blake2b

from spaces_workers.link.channel import ChannelClosed
from spaces_workers.link.sleep_messages import CopyShared, CopyShown, ShareCopy, ShowCopy, Unable
from spaces_workers.worker.child_link import ChildLink, StaysAwake
from spaces_workers.worker.gpu_memory import sealed_files
from spaces_workers.worker.gpu_memory.host_listing import HostListing, Listing, Segment

logger = logging.getLogger(__name__)


class SharedCopies:
    """The sealed memory of this worker's children. One thread at a time may use it.

    `scope` maps a Space to a name; Spaces with the same name share.
    """

    def __init__(self, listing: HostListing, scope: Callable[[str], str]) -> None:
        self._listing = listing
        self._scope = scope
        self._segments: dict[bytes, Segment] = {}  #: by key; `exchange` drops those that no child uses
        self._wanted: Collection[bytes] = ()  #: keys of parts that several children have, at the last `exchange`

    @property
    def elsewhere_bytes(self) -> int:
        """Host memory that the sleepers of other workers hold, without the parts that ours share with them."""
        theirs = self._theirs()
        ours = sum(each.size for each in self._segments.values() if each.key in theirs)
        return max(0, self._listing.bytes_of_others - ours)

    def exchange(self, children: Collection[ChildLink]) -> None:
        """Close the memory that no child uses any more, write this worker's file, and read those of the others."""
        used = {key for child in children for key in child.copies.shared.values()}
        for key in self._segments.keys() - used:
            os.close(self._segments.pop(key).fd)
        offers = Counter(key for child in children for key in self._offers(child))
        own = sum(child.host_bytes - child.copies.shared_bytes for child in children)
        self._listing.write(Listing(max(0, own), tuple(self._segments.values()), tuple(sorted(offers))))
        self._listing.read()
        offers.update(key for theirs in self._listing.others.values() for key in theirs.offers)
        left = self._left_to_others()
        self._wanted = {key for key, count in offers.items() if count > 1 and key not in left}

    def can_share(self, child: ChildLink, has_room: Callable[[int], bool]) -> bool:
        """Whether there are parts of which an idle child has its own copy and others have one too."""
        return any(has_room(child.copies.sizes[name]) for _, name in self._common_with(child))

    def share(self, child: ChildLink, has_room: Callable[[int], bool]) -> None:
        """Have an idle child use the copies that others have too. Raises Halted, ChannelClosed, TimeoutError.

        `has_room` says whether so many bytes are free: a part is copied once more, until its own memory is given back.
        """
        for key, name in self._common_with(child):
            if has_room(child.copies.sizes[name]):
                self._share(child, name, key)

    def _common_with(self, child: ChildLink) -> Iterator[tuple[bytes, bytes]]:
        """Keys and names of such parts, as far as this worker has descriptors for them."""
        for key, name in self._offers(child).items() if self._wanted else ():
            if key in self._wanted and name not in child.copies.shared and self._can_hold(key):
                yield key, name

    def _can_hold(self, key: bytes) -> bool:
        return key in self._segments or len(self._segments) < _most_segments()

    def _share(self, child: ChildLink, name: bytes, key: bytes) -> None:
        size = child.copies.sizes[name]
        segment = self._segments.get(key) or self._of_another(key, size)
        try:
            with self._shown(child, name, size) as shown:
                if segment is None:
                    segment = self._segments[key] = Segment(key, os.dup(shown), size)
                elif not _is_like(segment, shown, size, lambda: child.is_halted):
                    logger.info("a copy of Space %s has other bytes than one by the same name", child.spec.space)
                    child.copies.miss(name)
                    return
                _told(child.ask(ShareCopy(name), segment.fd), CopyShared)
        except (ChannelClosed, TimeoutError):
            raise
        except (StaysAwake, OSError) as error:
            child.copies.unlike.add(name)
            logger.info("a copy of Space %s is not shared: %s", child.spec.space, error)
        else:
            child.copies.shared[name] = key

    @contextmanager
    def _shown(self, child: ChildLink, name: bytes, size: int) -> Iterator[int]:
        theirs = _told(child.ask(ShowCopy(name)), CopyShown)
        if theirs is None:
            raise ChannelClosed("a child showed a copy without a descriptor")
        try:
            shown = sealed_files.taken(theirs, size)
        finally:
            os.close(theirs)
        try:
            yield shown
        finally:
            os.close(shown)

    def _of_another(self, key: bytes, size: int) -> Segment | None:
        for (pid, _), listing in self._listing.others.items():
            for each in listing.segments:
                if (each.key, each.size) == (key, size):
                    with suppress(OSError):  # that worker has just closed it
                        self._segments[key] = Segment(key, sealed_files.opened(pid, each.fd, size), size)
                        return self._segments[key]
        return None

    def _left_to_others(self) -> Collection[bytes]:
        """Keys of parts that are not common yet, and that an earlier worker makes common, so that no two do."""
        earlier = (theirs for worker, theirs in self._listing.others.items() if worker < self._listing.process)
        return {key for theirs in earlier for key in theirs.offers} - self._segments.keys() - self._theirs()

    def _theirs(self) -> set[bytes]:
        return {each.key for listing in self._listing.others.values() for each in listing.segments}

    def _offers(self, child: ChildLink) -> Mapping[bytes, bytes]:
        """Names, by key, of the parts that a child could share or shares."""
        scope, copies = self._scope(child.spec.space), child.copies
        names = (name for name in copies.sizes if name not in copies.unlike)
        return {_key(scope, name, copies.misses.get(name, 0)): name for name in names}


def _is_like(segment: Segment, shown: int, size: int, halted: Callable[[], bool]) -> bool:
    """Whether a segment has these bytes and no more: the child has no right to others."""
    return segment.size == size and sealed_files.have_same_bytes(shown, segment.fd, size, halted)


def _most_segments() -> float:
    """A quarter of the descriptors that this process may have; the rest is for children, callers and the broker."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft // 4


@lru_cache(maxsize=1 << 16)
def _key(scope: str, name: bytes, misses: int) -> bytes:
    return blake2b(scope.encode() + b"\0" + name + bytes([misses]), digest_size=16).digest()


def _told(answer: tuple[object, int | None], expected: type) -> int | None:
    """The descriptor that came with the expected answer. Raises StaysAwake for Unable, else ChannelClosed."""
    message, fd = answer
    if isinstance(message, expected):
        return fd
    if fd is not None:
        os.close(fd)
    if isinstance(message, Unable):
        raise StaysAwake(message.reason)
    raise ChannelClosed(f"an idle child sent {type(message).__name__}")
