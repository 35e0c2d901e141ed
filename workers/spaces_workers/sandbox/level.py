"""The level of separation that this host can give, and the one that the operator demands."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache
from itertools import takewhile
from pathlib import Path

from spaces.errors import SpacesError
from spaces.farm.queue import settings
from spaces.farm.queue.rules import IsolationRules
from spaces_workers.sandbox.description import Kind, Level, Place, Sandbox, in_words
from spaces_workers.sandbox.enter import enter
from spaces_workers.sandbox.owners import Owners

#: The level of separation that must be had, where `farm.toml` names none: `users`, `namespaces` or `none`.
VARIABLE = "ZEROFARM_ISOLATION"

#: Where Ubuntu, since 23.10, forbids user namespaces to programs without a profile.
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


class LevelFault(SpacesError):
    """The host cannot give the level that the operator demands."""


def chosen(rules: IsolationRules | None = None) -> Level:
    """The level that `farm.toml` demands, else that of `$ZEROFARM_ISOLATION`, else the best of this host.

    `rules` are those of this process if not given. Raises LevelFault if the host cannot give the level.
    """
    demanded = (rules or settings.current().isolation).level or os.environ.get(VARIABLE, "")
    if not demanded:
        return best()
    if demanded not in list(Level):
        raise LevelFault(f"${VARIABLE} must be one of {', '.join(Level)}, got {demanded!r}")
    if problem := problem_of(Level(demanded)):
        raise LevelFault(
            f"Spaces shall be separated by {demanded}, which this host cannot give: {problem}. Mend that, or set "
            "another level under [isolation] in farm.toml"
        )
    return Level(demanded)


def best() -> Level:
    """The strongest level that this host can give."""
    return next(level for level in Level if not problem_of(level))


#: What a page of `zerofarm web` is told, whatever the level.
UNSEPARATED = "its page is separated from nothing: it can read and change what this user can. `zerofarm up` separates"


def in_full(level: Level) -> str:
    """The meaning of a level, and the reasons why it is not the best one, for operators."""
    return ". ".join(filter(None, (in_words(level), shortcoming(level))))


def shortcoming(level: Level) -> str:
    """Why the level is no better one, as sentences without the last full stop; empty if there is no better one."""
    better = takewhile(lambda each: each is not level, Level)
    return ". ".join(map(_chance_of, better))


def _chance_of(level: Level) -> str:
    problem = problem_of(level)
    return f"Level {level} cannot be had: {problem}" if problem else f"Level {level} could be had"


@cache
def problem_of(level: Level) -> str:
    """Why this host cannot give a level, as a part of a sentence; empty if it can."""
    match level:
        case Level.NONE:
            return ""
        case Level.USERS:
            return "zerofarm does not run as root" if os.geteuid() else _problem_of(level)
        case Level.NAMESPACES:
            return _problem_of(level)


def _problem_of(level: Level) -> str:
    if sys.platform != "linux":
        return "it is no Linux"
    with tempfile.TemporaryDirectory() as folder:
        try:
            problem = _tried(_probe(level, folder))
        except OSError as error:
            problem = str(error)
    banned = level is Level.NAMESPACES and _APPARMOR.exists() and _APPARMOR.read_text().strip() == "1"
    return f"{problem}; AppArmor forbids user namespaces ({_APPARMOR} is 1)" if problem and banned else problem


def _probe(level: Level, folder: str) -> Sandbox:
    uid = settings.current().isolation.first_uid if level is Level.USERS else os.getuid()
    processes = Place("/proc", Kind.PROC) if level is Level.USERS else Place("/proc", Kind.HOST, "/proc", writable=True)
    mapping = Owners().mapping(folder, uid) if level is Level.USERS else ""
    places = (processes, Place("/own", Kind.OWN, folder, mapping=mapping))
    return Sandbox(level, "probe", uid, folder, "/own", places)


def _tried(sandbox: Sandbox) -> str:
    """Why a fork of this process cannot enter a sandbox. This process must have one thread."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            enter(sandbox)
        except OSError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        os.waitpid(pid, 0)
        return file.read().decode()
