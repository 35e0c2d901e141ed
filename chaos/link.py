"""The link between a farm and its broker: through a network namespace, or, where none can be made, a relay alone."""

from __future__ import annotations

import random
import time

from chaos.namespace import Namespace
from chaos.relay import Relay

#: Seconds in which the end of a connection is forgotten, and those that the relay alone lets a chunk wait.
_FORGOTTEN, _DELAYS = 0.5, (0.05, 0.2, 0.5)


class Link:
    """Passes a farm's connections on to a port of this host, which may change."""

    def __init__(self, target: int) -> None:
        self._namespace = Namespace()
        self._relay = Relay(target, self._namespace.listen() if self._namespace.is_there else None)
        self.address = f"{self._relay.host}:{self._relay.port}"
        self.move = self._relay.move

    @property
    def can_be_cut(self) -> bool:
        return self._namespace.is_there

    def slow(self, chance: random.Random) -> None:
        """Let little pass."""
        if self.can_be_cut:
            self._namespace.slow()
        else:
            self._relay.delay = chance.choice(_DELAYS)

    def hurry(self) -> None:
        """Let everything pass."""
        self._namespace.hurry()
        self._relay.delay = 0.0

    def cut(self) -> None:
        """Let nothing pass."""
        self._namespace.cut()

    def mend(self) -> None:
        """Let everything pass that waits."""
        self._namespace.mend()

    def half_open(self) -> None:
        """The broker's side of every present connection is gone without a word; new connections work."""
        if not self.can_be_cut:
            self._relay.half_open()
            return
        self._namespace.cut()
        self._relay.forget()
        time.sleep(_FORGOTTEN)
        self._namespace.mend()

    def close(self) -> None:
        """Stop passing on."""
        self._relay.close()
        self._namespace.close()
