"""Admits callers at a door: the page of the Space whose socket it is, or the holder of a token that is valid now."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Protocol

from spaces.errors import RefusedError
from spaces.farm.broker_errors import AWAY
from spaces.farm.queue.queue import Queue
from spaces_workers.gateway.tenant import Tenant
from spaces_workers.gateway.token_holder import Program, holder_of
from spaces_workers.gateway.tokens import Tokens


class Admission(Protocol):
    """Decides at the first message, and again while the connection lasts."""

    @property
    def asks_again_after(self) -> float | None:
        """Seconds after which the answer may be another one; None: it stays."""

    def admit(self, token: str, queue: Queue) -> Tenant:
        """The holder of this token, if any. Raises RefusedError."""

    def enter(self, tenant: Tenant) -> None:
        """Count a connection. Raises RefusedError for one too many."""

    def leave(self, tenant: Tenant) -> None:
        """It has ended."""


class ByPlace:
    """Every caller is the page of this Space: nobody else can connect."""

    asks_again_after: float | None = None

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def admit(self, token: str, queue: Queue) -> Tenant:
        return self._tenant

    def enter(self, tenant: Tenant) -> None:
        """The door counts them."""

    def leave(self, tenant: Tenant) -> None:
        """The door counts them."""


#: Connections with one token at the same time, so that its holder does not keep others out.
MOST_OF_A_TOKEN = 64


class ByToken:
    """A caller that shows a token is its holder, until it expires or is revoked."""

    asks_again_after: float | None = 2.0

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def admit(self, token: str, queue: Queue) -> Program:
        return holder_of(Tokens(queue.redis).holder(token))

    def enter(self, tenant: Tenant) -> None:
        name = _token_of(tenant)
        with self._lock:
            if self._open[name] >= MOST_OF_A_TOKEN:
                raise RefusedError(
                    f"token {name} has {MOST_OF_A_TOKEN} connections. Close some: a program needs one spaces.Farm"
                )
            self._open[name] += 1

    def leave(self, tenant: Tenant) -> None:
        with self._lock:
            self._open[_token_of(tenant)] -= 1
            self._open += Counter()  # forgets those of whom there is none


def _token_of(tenant: Tenant) -> str:
    return tenant.token if isinstance(tenant, Program) else ""


class VisaEnded(Exception):
    """The holder of a connection's token is not admitted any more."""


class Visa:
    """The admission of one connection."""

    def __init__(self, admission: Admission, queue: Queue) -> None:
        self._admission = admission
        self._queue = queue
        self._token = ""
        self._asked_at = 0.0
        self._entered: Tenant | None = None

    @property
    def lasts(self) -> float | None:
        """Seconds after which it is renewed, if ever."""
        return self._admission.asks_again_after

    def ask(self, token: str) -> Tenant:
        """The holder of this token, who enters. Raises RefusedError."""
        self._token = token
        tenant = self._asked()
        self._admission.enter(tenant)
        self._entered = tenant
        return tenant

    def end(self) -> None:
        """The connection has ended."""
        if self._entered is not None:
            self._admission.leave(self._entered)

    def _asked(self) -> Tenant:
        tenant = self._admission.admit(self._token, self._queue)
        self._asked_at = time.monotonic()
        return tenant

    def renew(self) -> None:
        """Raise VisaEnded if the token has expired or was revoked. A broker that is away changes nothing."""
        if self.lasts is None or time.monotonic() - self._asked_at < self.lasts:
            return
        try:
            self._asked()
        except AWAY:
            return
        except RefusedError as error:
            raise VisaEnded(str(error)) from None
