"""`torch.utils.data.DataLoader` with `persistent_workers`: the processes that it keeps are the zygote's."""

from __future__ import annotations

import sys
from typing import Any

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive

_lost: list[object] = []  #: iterators whose end would wait for processes that are not this one's


def prepare(objects: Objects) -> Revive | None:
    """Loaders that keep processes have a child start its own, at its first pass over the data."""
    loader: Any = sys.modules["torch.utils.data.dataloader"].DataLoader  # Any: torch is not typed here
    used = [each for each in objects.of(loader) if getattr(each, "_iterator", None) is not None]

    def revive() -> None:
        for each in used:
            _lost.append(each._iterator)
            each._iterator = None

    return revive if used else None
