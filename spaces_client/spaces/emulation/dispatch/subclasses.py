"""Tensor subclasses with a `__torch_dispatch__`: quantized weights, nested and masked tensors.

Torch calls their code from C++ while the mode is disabled. On a GPU that code sees CUDA, so here it runs with the mode
active. A wrapper of other tensors is made with a device but without memory. If its device were cuda for C++, C++ would
search for the driver and abort, so a wrapper is a CPU tensor with a mark, like every other tensor.
"""

from __future__ import annotations

from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch.mode import names_cuda, reentered
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import CPU_DEVICE, CUDA_DEVICE, forget, mark
from spaces.emulation.tensors.wrappers import dispatches

_patches: Patches | None = None


def install(patches: Patches) -> None:
    global _patches
    _patches = patches
    _static(patches, "_make_wrapper_subclass", _make_wrapper)
    _static(patches, "_make_subclass", _make_subclass)
    _swap(patches)
    # Code from before torch 2.0 uses this to disable its own class; since 2.0 it also disables modes, and so CUDA.
    patches.value(torch._C, "DisableTorchFunction", torch._C.DisableTorchFunctionSubclass)


def moved(tensor: Any, where: int) -> Any:
    """A copy on emulated cuda or on the CPU, made by the tensor's own code."""
    return torch.ops.aten._to_copy.default(tensor, device=CUDA_DEVICE if where else CPU_DEVICE)


def see_cuda(kind: Any) -> None:
    """Activate the mode in the dispatch of a class from now on."""
    if _patches is None or not _patches.active or not dispatches(kind):
        return
    owner = next(each for each in kind.__mro__ if "__torch_dispatch__" in vars(each))
    original = vars(owner)["__torch_dispatch__"]
    if isinstance(original, _SeeingCuda):
        return
    _patches.value(owner, "__torch_dispatch__", _SeeingCuda(original))


class _SeeingCuda(classmethod):  # type: ignore[type-arg]  # of any arguments
    """A `__torch_dispatch__` with the mode active."""

    def __init__(self, original: Any) -> None:
        def dispatch(kind: Any, *args: Any, **kwargs: Any) -> Any:
            with reentered():
                return original.__get__(None, kind)(*args, **kwargs)

        super().__init__(dispatch)


def _static(patches: Patches, name: str, emulated: Any) -> None:
    """Replace a static method of Tensor by one that gets the original as its first argument."""
    original = getattr(torch.Tensor, name)

    def replacement(*args: Any, **kwargs: Any) -> Any:
        return emulated(original, *args, **kwargs) if patches.active else original(*args, **kwargs)

    patches.value(torch.Tensor, name, staticmethod(replacement))


def _make_wrapper(original: Any, kind: Any, *args: Any, **kwargs: Any) -> Any:
    see_cuda(kind)
    if not dispatches(kind) or not names_cuda(kwargs.get("device")):
        return original(kind, *args, **kwargs)
    wrapper = original(kind, *args, **{**kwargs, "device": CPU_DEVICE, "pin_memory": False})
    mark(wrapper)
    return wrapper


def _make_subclass(original: Any, kind: Any, *args: Any, **kwargs: Any) -> Any:
    see_cuda(kind)
    return original(kind, *args, **kwargs)


def _swap(patches: Patches) -> None:
    """Let a module that moves swap wrappers, which torch forbids if there are weak references to them."""
    original = torch.utils.swap_tensors

    def swap(*tensors: Any) -> None:
        for tensor in tensors:
            forget(tensor)
        original(*tensors)

    patches.function(torch.utils, "swap_tensors", swap)
