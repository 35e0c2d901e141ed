"""`torch.Generator("cuda")`: a CPU generator that reports cuda, and becomes a real one in a child with a GPU."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch.mode import names_cuda
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import CUDA_DEVICE

_Original: Any = torch._C.Generator
_alive: weakref.WeakSet[EmulatedGenerator] = weakref.WeakSet()


class _AnyGenerator(type(_Original)):  # type: ignore[misc]  # torch is untyped here
    """Makes `isinstance(g, torch.Generator)` true for torch's own generators as well."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Original) if cls is Generator else super().__instancecheck__(instance)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        device = args[0] if args else options.get("device", "cpu")
        if cls is Generator:
            if Generator.active and names_cuda(device):
                return _emulated(_as_named(device))
            return _Original(*args, **options)
        return super().__call__(*args, **options)


class Generator(_Original, metaclass=_AnyGenerator):  # type: ignore[misc]  # torch is untyped
    """Replaces `torch.Generator` while CUDA is emulated."""

    active = True


class EmulatedGenerator(Generator):
    """A CPU generator whose device is cuda.

    It cannot be a wrapper, because C++ reads the generator from the object itself. So it is a generator, and `become`
    later exchanges its content; all references to it then lead to a CUDA generator.
    """

    emulated = True
    named = CUDA_DEVICE  #: no argument of the constructor, which is C++'s and would search for a GPU

    def __init__(self) -> None:
        _alive.add(self)

    @property
    def device(self) -> Any:
        return self.named if self.emulated else super().device

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.initial_seed(), self.get_state(), self.named))

    def clone_state(self) -> EmulatedGenerator:
        return _rebuild(self.initial_seed(), self.get_state(), self.named)

    def become(self, real: Any) -> None:
        """Exchange contents with `real`: each holds one C++ pointer after the header of the Python object."""
        offset = object.__basicsize__
        mine = ctypes.c_void_p.from_address(id(self) + offset)
        other = ctypes.c_void_p.from_address(id(real) + offset)
        mine.value, other.value = other.value, mine.value
        self.emulated = False


def _emulated(named: torch.device) -> EmulatedGenerator:
    generator = EmulatedGenerator()
    generator.named = named
    return generator


def _as_named(device: object) -> torch.device:
    """Torch keeps "cuda" without a number as given; every number means the only GPU."""
    return torch.device("cuda") if str(device) == "cuda" else CUDA_DEVICE


def _rebuild(seed: int, state: torch.Tensor, named: torch.device) -> EmulatedGenerator:
    generator = _emulated(named)
    generator.manual_seed(seed)
    generator.set_state(state)
    return generator


def install(patches: Patches) -> None:
    Generator.active = True
    patches.value(torch, "Generator", Generator)


def leave(device: torch.device) -> None:
    """Turn every generator made so far into one of `device`, with the same seed."""
    Generator.active = False
    for generator in list(_alive):
        seed = generator.initial_seed()
        generator.become(_Original(device=device))
        generator.manual_seed(seed)
