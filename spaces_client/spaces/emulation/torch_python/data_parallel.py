"""`torch.nn.DataParallel`: with one device it calls its module directly."""

from __future__ import annotations

from typing import Any  # torch is not typed here

import torch

from spaces.emulation.patching.patches import Patches


def install(patches: Patches) -> None:
    def forward(self: Any, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    patches.function(torch.nn.DataParallel, "forward", forward)
