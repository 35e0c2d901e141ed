"""`torch.cuda.FloatTensor` and similar types, with which old model code builds tensors."""

from __future__ import annotations

from typing import Any  # torch is not typed here

import torch

from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import CPU, mark, place

_NAMES = ["Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool"]


class CudaTensorType(type):
    """Metaclass of `torch.cuda.<Name>Tensor`: callable, and `isinstance` is true for such a tensor."""

    emulated_name: str
    on_cpu: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        tensor = cls.on_cpu(*args, **kwargs)
        mark(tensor)
        return tensor

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, torch.Tensor) and place(instance) != CPU and instance.type() == cls.emulated_name


def install(patches: Patches) -> None:
    for name in _NAMES:
        kind = CudaTensorType(f"{name}Tensor", (), {"__module__": "torch.cuda"})
        kind.emulated_name = f"torch.cuda.{name}Tensor"
        kind.on_cpu = getattr(torch, f"{name}Tensor")
        patches.value(torch.cuda, f"{name}Tensor", kind)
    original = torch.set_default_tensor_type

    def set_default_tensor_type(wanted: Any) -> None:
        name = getattr(wanted, "emulated_name", wanted)
        if isinstance(name, str) and name.startswith("torch.cuda."):
            original(name.replace("torch.cuda.", "torch.", 1))
            torch.set_default_device("cuda")
        else:
            original(wanted)

    patches.function(torch, "set_default_tensor_type", set_default_tensor_type)
