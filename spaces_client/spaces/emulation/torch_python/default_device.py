"""`torch.set_default_device("cuda")`."""

from __future__ import annotations

from typing import Any  # torch is not typed here

import torch
from torch.utils._device import DeviceContext

from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import CPU_DEVICE, mark


def install(patches: Patches) -> None:
    """`torch.set_default_device` puts its own mode *below* ours, so that mode must be patched itself."""
    original = DeviceContext.__torch_function__
    constructors = torch.utils._device._device_constructors

    def dispatch(self: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.device.type != "cuda" or kwargs.get("device") is not None or func not in constructors():
            return original(self, func, types, args, kwargs)
        result = func(*args, **{**kwargs, "device": CPU_DEVICE})
        mark(result)
        return result

    patches.function(DeviceContext, "__torch_function__", dispatch)
