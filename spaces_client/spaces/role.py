"""The role of this process in its farm, read once from the environment.

A process without a farm reads nothing else of its configuration, so that `import spaces` takes little time there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import cache

#: The farm of this process: its broker, or `gateway://HOST:PORT`. Of a Space's processes, only the page gets it.
URL = "ZEROFARM_URL"
#: The role of the process: `web`, `worker` or `none`. Without it, a process with a URL is a page.
ROLE = "ZEROFARM_ROLE"


class Role(StrEnum):
    """The role of this process in the farm."""

    NONE = "none"  #: no farm: the decorator returns the function untouched
    WEB = "web"  #: serves a Space's pages; calls become tasks
    WORKER = "worker"  #: a zygote or a child: calls run in this process


def of(environment: Mapping[str, str]) -> Role:
    """The role that an environment names. Raises ValueError, which names the value, for an unknown one."""
    named = environment.get(ROLE, "") or (Role.WEB if environment.get(URL) else Role.NONE)
    try:
        return Role(named)
    except ValueError:
        raise ValueError(f"{ROLE} must be one of {', '.join(Role)}, got {named!r}") from None


@cache
def _of_process() -> Role:
    return of(os.environ)


def reread() -> None:
    """Read the role again: this process is a fork, and its environment another one now."""
    _of_process.cache_clear()


_stand_in: Role | None = None


def current() -> Role:
    """The role of this process."""
    return _stand_in or _of_process()


@contextmanager
def stand_in(role: Role) -> Iterator[None]:
    """Within this, `role` is the role of the process; for tests of Spaces."""
    global _stand_in
    before, _stand_in = _stand_in, role
    try:
        yield
    finally:
        _stand_in = before
