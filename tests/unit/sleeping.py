"""A stand-in's card and a sleeper in this process, for tests of sleep, and what they compare after waking."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spaces_workers.child.sleep.sleeper import Sleeper
from spaces_workers.child.sleep.standin_card import StandInCard
from spaces_workers.link.messages import StandIn


class OwnCard(StandInCard):
    """The card of a stand-in for tensors that were put on it; others of this process, also garbage, are not its own."""

    def holds(self, storage: Any) -> bool:
        return getattr(storage, "card", None) is self and bool(storage.nbytes() and storage.resizable())


def card_in(folder: Path, size: int = 1 << 30, speed: float = 1e12) -> OwnCard:
    """The card of a stand-in, of which this process is a child."""
    return OwnCard(StandIn(str(folder / "memory"), size, speed))


@dataclass(frozen=True)
class Bed:
    """A card and the sleeper on it."""

    card: OwnCard
    sleeper: Sleeper

    @classmethod
    def of(cls, card: OwnCard) -> Bed:
        return cls(card, Sleeper(card, driver=None))

    def put(self, *tensors: Any) -> None:
        """Let these tensors be all that is on the card."""
        found = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in tensors}
        for storage in found.values():
            storage.card = self.card
        self.card.memory.hold(sum(storage.nbytes() for storage in found.values()))

    def nap(self, *, pinned: bool = True, keep: bool = True) -> None:
        self.sleeper.sleep(pinned=pinned)
        self.sleeper.wake(keep=keep)


def bytes_of(tensor: Any) -> bytes:
    """All bytes of a tensor's storage."""
    storage = tensor.untyped_storage().cpu()
    return ctypes.string_at(storage.data_ptr(), storage.nbytes()) if storage.nbytes() else b""


def write(storage: Any, value: int) -> None:
    """Write the first bytes of a storage as a kernel does that has a pointer: no version counter sees it."""
    torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)[:8] = value
