"""A broker as the rest of the farm sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from spaces.errors import FarmUnavailable


class BrokerError(FarmUnavailable):
    """No broker is available. The message says what was tried and what to do."""


@dataclass
class Broker:
    """A broker that answered when it was found. As a context manager it calls `stop` at the end."""

    url: str = field(repr=False)

    def url_of(self, user: str) -> str:
        """The URL for a process of the farm: of a user with few rights, if this process started the server."""
        return self.url

    @property
    def is_ours(self) -> bool:
        """Whether this process started the server and `stop` ends it."""
        return False

    def stop(self) -> None:
        """Stop the server if this process started it; may be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
