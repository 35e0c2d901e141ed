"""The requests for forks that a fork server gets, and the choice of those that it can serve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spaces_workers.forkserver.libraries import Preloading
from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import Spawn


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A request for a fork."""

    starter: Channel
    spawn: Spawn
    fd: int
    named: frozenset[str]  #: libraries that the Space's files name


def forkable(waiting: Iterable[Request], preloading: Preloading) -> list[Request]:
    """The requests whose libraries are imported. Zygotes wait for all libraries, so that pages come first."""
    ready = [each for each in waiting if not preloading.missing(each.named)]
    return ready if preloading.is_over else [each for each in ready if not each.spawn.is_zygote]
