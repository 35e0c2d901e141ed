"""Emulates CUDA: the web process and the zygote run a Space's script without a GPU, and `cuda` works all the same.

    from spaces import emulation

    emulation.install()          # before torch is imported, or after
    ...                          # the Space's script: `.to("cuda")`, `device_map="cuda"`, `torch.cuda.*`
    emulation.leave("cuda:0")    # in a forked child that has a GPU: everything moves there

Importing this costs nothing; torch is patched only when the Space imports it. The folders: `dispatch` answers calls on
tensors, `tensors` records which tensors are on cuda and moves them, `torch_cuda` replaces parts of `torch.cuda`,
`torch_python` parts of the rest of torch, `libraries` parts of other libraries, and `patching` has the tools for that.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from spaces.emulation.emulated_device import H200, RTX_PRO_6000, EmulatedDevice
from spaces.emulation.errors import EmulationError, stay
from spaces.emulation.libraries.watched import WATCHED
from spaces.emulation.patching.patches import Patches
from spaces.import_hooks import when_imported

if TYPE_CHECKING:
    import torch

__all__ = [
    "EmulatedDevice",
    "EmulationError",
    "H200",
    "RTX_PRO_6000",
    "adopt",
    "bypassed",
    "drop_weights",
    "install",
    "is_emulated",
    "is_emulated_storage",
    "is_installed",
    "leave",
    "move_weights",
    "note_none_tracked",
    "stay",
    "tracked",
    "weights_bytes",
]

_device: EmulatedDevice | None = None
_patches = Patches()


def install(device: EmulatedDevice = H200) -> None:
    """Emulate `device` from now on, or from the import of torch on. A second call has no effect."""
    global _device, _patches
    if _device is not None:
        return
    _device, _patches = device, Patches()
    if "torch" in sys.modules:
        when_imported("torch", _install_with_torch)
    # Watched before torch, because some import torch themselves and define their own names afterwards.
    for library in WATCHED:
        when_imported(library, _install_with_library)
    if "torch" not in sys.modules:
        when_imported("torch", _install_with_torch)


def is_installed() -> bool:
    """Whether cuda is emulated in this process."""
    return _device is not None


def leave(device: str = "cuda:0", move: Callable[[list[Any]], list[Any]] | None = None) -> None:
    """In a forked child: end the emulation, and move everything on emulated cuda to a real device.

    Call it on the thread that forked, before any other thread starts, except those of `move`. Tensors stay the same
    objects, with their views and ties; so do generators, with their seeds, and streams and events. `move` gets the
    distinct `torch.UntypedStorage`s and returns their replacements in the same order, if the caller has a faster way
    than copying one by one. If torch is not imported yet, it will be imported unpatched.
    """
    global _device
    if _device is None:
        return
    _device = None
    if _is_loaded():
        _switch().leave(_patches, device, move)
    _patches.undo()
    _patches.finish()


def tracked() -> list[torch.Tensor]:
    """All live tensors on emulated cuda."""
    if not _is_loaded():
        return []
    from spaces.emulation.tensors import marks

    return marks.tracked()


def note_none_tracked() -> None:
    """There are none yet: said by a process that freezes what it has, so that its forks need not look there."""
    if _is_loaded():
        from spaces.emulation.tensors import marks

        marks.note_none()


def is_emulated(tensor: torch.Tensor) -> bool:
    """Whether a tensor is on emulated cuda."""
    if not _is_loaded():
        return False
    from spaces.emulation.tensors import marks

    return marks.place(tensor) != marks.CPU


def is_emulated_storage(storage: Any) -> bool:
    """Whether a `torch.UntypedStorage` has values on emulated cuda."""
    if not _is_loaded():
        return False
    from spaces.emulation.tensors import marks

    return bool(storage.emulated_place == marks.CUDA)


def move_weights(move: Callable[[list[Any]], list[Any]]) -> None:
    """Replace the storages of everything on emulated cuda by those that `move` returns, which are on it too."""
    if not _is_loaded():
        return
    from spaces.emulation.tensors import marks, weights

    weights.relocate(move, marks.tracked(), marks.CUDA)


@contextmanager
def bypassed() -> Iterator[None]:
    """Within this, calls of torch in this thread reach the memory of emulated tensors, with no emulation between."""
    if "torch" not in sys.modules:
        yield
        return
    from spaces.emulation.tensors import marks

    with marks.plain_torch():
        yield


def adopt(tensor: torch.Tensor) -> None:
    """Declare a tensor, and all tensors that share its memory, to be on emulated cuda, without a copy."""
    from spaces.emulation.tensors import marks

    marks.mark(tensor)


def weights_bytes() -> int:
    """Bytes of all memory on emulated cuda: the least that a child needs of its device."""
    if not _is_loaded():
        return 0
    from spaces.emulation.tensors import marks, weights

    return weights.size_bytes(marks.tracked())


def drop_weights() -> None:
    """Free the values of everything on emulated cuda; reading one afterwards raises `EmulationError`.

    Shapes, dtypes and devices remain. For the web process after its launch.
    """
    if _is_loaded():
        from spaces.emulation.tensors import weights

        weights.drop_weights()


def _install_with_torch(_: ModuleType) -> None:
    if _device is not None:
        _switch().install(_patches, _device)


def _install_with_library(library: ModuleType) -> None:
    if _device is not None:
        part = importlib.import_module(f"spaces.emulation.libraries.{WATCHED[library.__name__]}")
        part.install(_patches, library, _device)


def _is_loaded() -> bool:
    return "spaces.emulation.entering_and_leaving" in sys.modules


def _switch() -> Any:  # Any: imported late, because it imports torch
    from spaces.emulation import entering_and_leaving

    return entering_and_leaving
