"""Tells the callers of a page's MCP server apart.

Gradio's MCP server calls its own page by HTTP, with the headers of its caller, so the page sees one visitor: itself.
Here each such call carries the visitor that the MCP server saw, signed with a secret of this process. Gradio is never
imported here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

#: The header of a call that this process makes to its own page: the visitor's name and its signature.
HEADER = "x-zerofarm-visitor"

_secret = secrets.token_bytes(32)


def watch(module: ModuleType, visitor_of: Callable[[Any], str]) -> None:
    """Sign whom calls of tools, resources and prompts are for; for `gradio.mcp`. Any: the caller's request."""
    server = module.GradioMCPServer
    original = server._get_or_create_client

    def get_or_create_client(self: Any) -> _Client:  # Any: Gradio's MCP server
        return _Client(original(self), lambda: visitor_of(self.mcp_server.request_context.request))

    server._get_or_create_client = get_or_create_client


def vouched_visitor(headers: Iterable[tuple[str, str]]) -> str:
    """The visitor that this process has signed; empty if there is none, also if somebody else made the header."""
    for name, value in headers:
        visitor, _, signature = value.rpartition(" ")
        if name == HEADER and hmac.compare_digest(signature.encode(), _signature(visitor).encode()):
            return visitor
    return ""


class _Client:
    """Gradio's client of its own page, for the caller that is served now."""

    def __init__(self, client: Any, visitor: Callable[[], str]) -> None:  # Any: gradio_client.Client
        self._client = client
        self._visitor = visitor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def submit(self, *args: Any, headers: dict[str, str] | None = None, **kwargs: Any) -> Any:
        visitor = self._visitor()
        signed = {HEADER: f"{visitor} {_signature(visitor)}"}
        return self._client.submit(*args, headers=(headers or {}) | signed, **kwargs)


def _signature(visitor: str) -> str:
    return hmac.digest(_secret, visitor.encode(), hashlib.sha256).hex()
