"""`torch.cuda.device(0)` and `torch.cuda.device_of(tensor)`: contexts of the only device."""

from __future__ import annotations

import contextlib

import torch

from spaces.emulation.patching.patches import Patches
from spaces.emulation.patching.stand_in_classes import StandIn, replace_class


def install(patches: Patches) -> None:
    for context in (device, device_of):
        replace_class(patches, [torch.cuda], context)


class OnlyDevice(contextlib.ContextDecorator):
    """A context without effect, because there is only one device."""

    def __init__(self, *_device: object, **_named: object) -> None:
        self.idx = 0
        self.prev_idx = 0

    def __enter__(self) -> OnlyDevice:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class device(OnlyDevice, metaclass=StandIn):  # noqa: N801 - torch's own spelling
    """`with torch.cuda.device(0):`"""


class device_of(device):  # noqa: N801 - torch's own spelling
    """`with torch.cuda.device_of(tensor):`"""
