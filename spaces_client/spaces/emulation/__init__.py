"""CUDA where there is none: the web process and the zygote run a Space's script on a machine, or in a process,
without a GPU, and `cuda` works all the same.

    from spaces import emulation

    emulation.install()          # before torch is imported, or after
    ...                          # the Space's script: `.to("cuda")`, `device_map="cuda"`, `torch.cuda.*`
    emulation.leave("cuda:0")    # in a forked child that has a GPU: everything moves there

Importing this costs nothing; torch is touched only when the Space imports it. The folders: `dispatch` answers calls on
tensors, `tensors` knows which of them are on cuda and moves them, `torch_cuda` replaces parts of `torch.cuda`,
`torch_python` parts of the rest of torch, and `patching` is the means to do so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from spaces.emulation.emulated_device import H200, RTX_PRO_6000, EmulatedDevice
from spaces.emulation.errors import EmulationError
from spaces.imports import when_imported

if TYPE_CHECKING:
    import torch

__all__ = [
    "EmulatedDevice",
    "EmulationError",
    "H200",
    "RTX_PRO_6000",
    "adopt",
    "drop_weights",
    "install",
    "is_emulated",
    "leave",
    "tracked",
    "weights_bytes",
]

_device: EmulatedDevice | None = None

# Watched before torch is, because they import it themselves and define their own names after that.
_READERS = ("safetensors.torch", "transformers.core_model_loading")


def install(device: EmulatedDevice = H200) -> None:
    """Emulate `device` from now on: at once if torch is imported, else when it will be. Again: no effect."""
    global _device
    if _device is None:
        _device = device
        if "torch" in sys.modules:
            when_imported("torch", _install_with_torch)
        for library in _READERS:
            when_imported(library, _read_without_copies)
        if "torch" not in sys.modules:
            when_imported("torch", _install_with_torch)


def leave(device: str = "cuda:0", move: Callable[[list[Any]], list[Any]] | None = None) -> None:
    """In a forked child: give up the emulation, and move what was on emulated cuda to a real device.

    Called by the thread that forked, before any other is started but by `move`. Tensors stay the same objects, with
    their views and ties; so do generators, with their seeds, and streams and events. `move` gets the distinct
    `torch.UntypedStorage`s and returns their replacements in the same order, for a caller who has a faster way than a
    copy each. A torch that has not been imported yet will be imported plain.
    """
    global _device
    _device = None
    if _is_loaded():
        _switch().leave(device, move)


def tracked() -> list[torch.Tensor]:
    """The live tensors on emulated cuda, wherever the Space keeps them."""
    if not _is_loaded():
        return []
    from spaces.emulation.tensors import marks

    return marks.tracked()


def is_emulated(tensor: torch.Tensor) -> bool:
    """Whether a tensor is on emulated cuda."""
    if not _is_loaded():
        return False
    from spaces.emulation.tensors import marks

    return marks.place(tensor) != marks.CPU


def adopt(tensor: torch.Tensor) -> None:
    """Declare a tensor, and whatever shares its memory, to be on emulated cuda; nothing is copied."""
    from spaces.emulation.tensors import marks

    marks.mark(tensor)


def weights_bytes() -> int:
    """Bytes of everything on emulated cuda, each memory counted once: what a child needs of its device at least."""
    if not _is_loaded():
        return 0
    from spaces.emulation.tensors import marks, weights

    return weights.size_bytes(marks.tracked())


def drop_weights() -> None:
    """Free the values of everything on emulated cuda; reading one afterwards raises `EmulationError`.

    Shapes, dtypes and devices still answer. For the web process once it has launched.
    """
    if _is_loaded():
        from spaces.emulation.tensors import weights

        weights.drop_weights()


def _install_with_torch(_: ModuleType) -> None:
    if _device is not None:
        _switch().install(_device)


def _read_without_copies(library: ModuleType) -> None:
    if _device is not None:
        _switch().read_without_copies(library)


def _is_loaded() -> bool:
    return "spaces.emulation.entering_and_leaving" in sys.modules


def _switch() -> Any:  # Any: imported late, for it imports torch
    from spaces.emulation import entering_and_leaving

    return entering_and_leaving
