"""`Module.to` and related methods move a module's Parameters without copying them."""

from __future__ import annotations

from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch.mode import current
from spaces.emulation.patching.patches import Patches


def install(patches: Patches) -> None:
    original = torch.nn.Module._apply

    def apply(self: Any, *args: Any, **kwargs: Any) -> Any:
        mode = current()
        mode.moving_modules += 1
        try:
            return original(self, *args, **kwargs)
        finally:
            mode.moving_modules -= 1

    patches.function(torch.nn.Module, "_apply", apply)
