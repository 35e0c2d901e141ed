"""Identifies the visitor behind a call: a login, an API token that the farm knows, or an address; else the Space.

A submit calls `current_identity` once, and the task keeps the result. Threads that a handler starts act for its
visitor. Unverified claims are ignored: a token counts only if the settings list it, because otherwise each new token
would get a new quota, and a proxy's header of addresses only if the settings trust the proxy. Tokens are hashed at once
and never stored.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, TypeVar

from spaces import config
from spaces.farm.queue.settings_file.tiers import QuotaRules
from spaces.import_hooks import when_imported
from spaces.web import mcp_callers
from spaces.web.page import current_request

T = TypeVar("T")

#: Bits of an IPv6 address that identify a household; its visitors choose the rest.
HOUSEHOLD_BITS = 64

_inherited: ContextVar[str] = ContextVar("visitor of the thread", default="")


def current_identity(rules: QuotaRules, space: str = "") -> str:
    """The visitor of this thread's tasks: `user:ada`, `token:…`, `address:10.1.2.3` or `space:digits`.

    Empty if quotas are off, and for a script that is no Space.
    """
    if not rules.enabled:
        return ""
    return _asking(rules) or (f"space:{space}" if space else "")


def hashed(token: str) -> str:
    """The name of a token in the settings and the ledger: `printf %s TOKEN | sha256sum | cut -c 1-32`."""
    return f"token:{hashlib.sha256(token.encode()).hexdigest()[:32]}"


def prepare(rules: QuotaRules) -> None:
    """Prepare a web process, once, before it serves its page. Does nothing if quotas are off."""
    if rules.enabled:
        _believe_only(_proxies(rules))
        _follow_threads(rules)
        when_imported("gradio.mcp", lambda mcp: mcp_callers.watch(mcp, lambda request: visitor_of(request, rules)))


@contextmanager
def acting_for(visitor: str) -> Iterator[None]:
    """Within this, tasks count for `visitor`, unless a page's request names another."""
    token = _inherited.set(visitor)
    try:
        yield
    finally:
        _inherited.reset(token)


def visitor_of(request: Any, rules: QuotaRules) -> str:  # Any: gradio.Request
    """The visitor behind a request; empty if the request names none, like one that an author constructed."""
    scope = _scope(request)
    if login := _login(request, scope):
        return f"user:{login}"
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope.get("headers", ())]
    if vouched := mcp_callers.vouched_visitor(headers):
        return vouched
    for token in _tokens(headers):
        if (name := hashed(token)) in rules.visitors:
            return name
    return _address(scope, headers, _proxies(rules))


def _asking(rules: QuotaRules) -> str:
    request = current_request()
    return (visitor_of(request, rules) if request is not None else "") or _inherited.get()


def _proxies(rules: QuotaRules) -> tuple[str, ...]:
    """The proxies whose word on addresses counts: the operator's, and the farm's own front door."""
    door = os.environ.get(config.DOOR)
    return (*rules.trusted_proxies, door) if door else rules.trusted_proxies


def _believe_only(proxies: Iterable[str]) -> None:
    """Make uvicorn trust only these proxies; by default it trusts every process of its own host."""
    os.environ["FORWARDED_ALLOW_IPS"] = ",".join(proxies)


def _follow_threads(rules: QuotaRules) -> None:
    """Make each new thread, and each job of a thread pool, act for the visitor of the thread that started it.

    Context variables do not do that: a new thread starts without them. The threads of a pool serve many visitors, so
    each job carries its own visitor.
    """
    start = threading.Thread.start
    submit: Any = ThreadPoolExecutor.submit  # Any, here and below: the job's own

    @functools.wraps(start)
    def start_for_visitor(self: threading.Thread) -> None:
        if visitor := _asking(rules):
            self.run = _acting_for(visitor, self.run)  # type: ignore[method-assign] # of this one thread
        start(self)

    @functools.wraps(submit)
    def submit_for_visitor(
        self: ThreadPoolExecutor,
        function: Callable[..., T],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Future[T]:
        return submit(  # type: ignore[no-any-return] # as above
            self, _acting_for(_asking(rules), function), *args, **kwargs
        )

    threading.Thread.start = start_for_visitor  # type: ignore[method-assign] # wrapped
    ThreadPoolExecutor.submit = submit_for_visitor  # type: ignore[method-assign, assignment] # wrapped


def _acting_for(visitor: str, function: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(function)
    def act(*args: Any, **kwargs: Any) -> T:
        with acting_for(visitor):
            return function(*args, **kwargs)

    return act


def _scope(request: Any) -> Mapping[str, Any]:  # Any: gradio.Request, or starlette's; a scope is ASGI's
    scope = getattr(getattr(request, "request", request), "scope", None)
    return scope if isinstance(scope, Mapping) else {}


def _login(request: Any, scope: Mapping[str, Any]) -> str:  # Any: as above
    """The user name that a page's `auth=` or its OAuth login has verified."""
    if username := getattr(request, "username", None):
        return str(username)
    session = scope.get("session") or {}
    profile = (session.get("oauth_info") or {}).get("userinfo") or {}
    return str(profile.get("preferred_username") or "")


def _tokens(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in headers:
        scheme, _, token = value.strip().partition(" ")
        if name in ("authorization", "x-hf-authorization") and scheme.lower() == "bearer" and token.strip():
            yield token.strip()


def _address(scope: Mapping[str, Any], headers: Iterable[tuple[str, str]], proxies: Iterable[str]) -> str:
    """The nearest address that is no trusted proxy: each proxy appends the address of its client."""
    peer = (scope.get("client") or ("",))[0]
    forwarded = ",".join(value for name, value in headers if name == "x-forwarded-for").split(",")
    networks = [ip_network(proxy, strict=False) for proxy in proxies]
    found = _parsed(peer)
    if found is None:
        return f"address:{peer}" if peer else ""
    for text in reversed(forwarded):
        if not any(found in network for network in networks) or (before := _parsed(text)) is None:
            break
        found = before
    return f"address:{_household(found)}"


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address as proxies write it, with or without a port."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _household(address: IPv4Address | IPv6Address) -> str:
    if address.version == 4:
        return str(address)
    return str(ip_network((address, HOUSEHOLD_BITS), strict=False))
