"""Chooses the card, meter and sleeper of a child by the device that its worker gives it."""

from __future__ import annotations

import sys

from spaces_workers.child.memory_meter import CardMeter, GpuMeter, Meter, StandInMeter
from spaces_workers.child.sleep.gpu_card import CudaDriver, GpuCard
from spaces_workers.child.sleep.sleeper import Sleeper
from spaces_workers.child.sleep.standin_card import StandInCard
from spaces_workers.link.messages import Fork


def means_of(request: Fork, weights_bytes: int) -> tuple[Meter, Sleeper | None]:
    """A meter, and a sleeper if this child can sleep. A stand-in with limits gets the weights meanwhile."""
    if request.stand_in is not None:
        card = StandInCard(request.stand_in)
        card.take_weights()
        return CardMeter(card), Sleeper(card, driver=None) if "torch" in sys.modules else None
    if not request.visible_devices:
        return StandInMeter(weights_bytes), None
    return GpuMeter(), Sleeper(GpuCard(), CudaDriver()) if "torch" in sys.modules else None
