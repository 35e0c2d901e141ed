"""The users of the farm's own broker, each with what its process needs: the broker refuses it the rest.

No page and no program with a token has one: a script runs with the rights of its caller, and all Spaces share the
ranked queues, so a user that may push a task may also write any rank (docs/isolation.md). They use the gateway.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from inspect import getmembers, isfunction, signature

from spaces.farm.queue.keys import Keys

#: Processes that make and run tasks. They may not configure the broker, read its files or end it.
_TASKS = ("~*", "&*", "+@all", "-@admin", "-@dangerous", "+info")

#: The keys of what workers run, and of who may ask for it.
_OF_CODE = ("space", "spaces", "candidate", "revision", "archive", "blob", "tokens", "invitation")


def _writable() -> Iterator[str]:
    """Patterns of all other keys: a script must not be refused halfway, because what it has written stays."""
    for name, method in getmembers(Keys, isfunction):
        if name not in _OF_CODE and not name.startswith(("_", "is_", "in_")):
            yield "~" + getattr(Keys(), name)(*["*"] * (len(signature(method).parameters) - 1))


#: Reads all of the farm, cancels tasks, pushes those of a retry or a load, pauses, pins and drains. It registers no
#: Space: it brings no code onto a worker.
_LOOK = (
    *(f"%R~{Keys().prefix}:*", *_writable(), f"&{Keys().prefix}:*"),
    *("+@read", "+@write", "+@connection", "+@transaction", "+@pubsub"),
    *("+evalsha", "+eval", "+script|load", "+script|exists", "+time", "-@dangerous", "+info"),
)

#: Keys and channels of Celery's events and control: workers hear of a revoke there, and answer.
_CELERY = ("~_kombu*", "~*pidbox*", "~celeryev*", "~celery", "~unacked*", "&*")

#: Counts the tasks that wait, by a script of its own, and does nothing else: KEDA, which starts workers for them. The
#: broker takes a script for one that writes to its keys; commands that would are refused.
_COUNT = (f"~{Keys().queue('*')}", "+@connection", "-@admin", "-@dangerous", "+eval", "+evalsha", "+type", "+zcard")

RULES: Mapping[str, tuple[str, ...]] = {
    "worker": _TASKS,
    "gateway": _TASKS,
    "home": _LOOK,
    "flower": (*_LOOK, *_CELERY),
    "scaler": (*_COUNT, "+llen"),  # which KEDA calls for a key that is not there
}


def password_of(user: str, password: str) -> str:
    """The password of a user, derived from the broker's own: no other process of the farm is given that one."""
    return hmac.new(password.encode(), f"broker user {user}".encode(), sha256).hexdigest()


def directives(password: str) -> Iterator[str]:
    """The users as lines of the broker's configuration, which holds digests of their passwords."""
    for user, rules in RULES.items():
        yield _line(user, password_of(user, password), rules)


def operator(password: str) -> str:
    """The same for the operator, who may do all: the user whom a URL without a name means."""
    return _line("default", password, ("~*", "&*", "+@all"))


def _line(user: str, password: str, rules: Iterable[str]) -> str:
    return " ".join(("user", user, "on", f"#{sha256(password.encode()).hexdigest()}", *rules))
