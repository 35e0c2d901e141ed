"""`torch.nn.attention.sdpa_kernel`: code that requires a GPU backend gets the plain one, with the same result."""

from __future__ import annotations

from typing import Any  # torch is not typed here

import torch

from spaces.emulation.patching.patches import Patches


def install(patches: Patches) -> None:
    original = torch.nn.attention._sdpa_kernel

    def allow(backends: Any, *args: Any, **kwargs: Any) -> Any:
        return original([*backends, torch.nn.attention.SDPBackend.MATH], *args, **kwargs)

    patches.function(torch.nn.attention, "_sdpa_kernel", allow)
