"""Enters and leaves the emulation as a whole; imported only when torch is."""

from __future__ import annotations

import torch

from spaces.emulation.dispatch import copies, dispatch_modes, handlers, operators, subclasses, threads
from spaces.emulation.dispatch.mode import leave_process
from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching import becoming_real
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors import generators, weights
from spaces.emulation.tensors.marks import CPU, tracked
from spaces.emulation.torch_cuda import (
    c_functions,
    current_device,
    device_properties,
    driver,
    memory,
    random_seeds,
    streams,
    tensor_types,
)
from spaces.emulation.torch_python import (
    accelerator,
    attention_backends,
    autocast,
    autograd,
    compiling,
    data_parallel,
    default_device,
    module_moves,
    saved_files,
    torchscript,
)


def install(patches: Patches, device: EmulatedDevice) -> None:
    """Emulate `device` in torch; every part can be undone."""
    handlers.install()
    copies.install()
    subclasses.install(patches)
    operators.install(patches)
    dispatch_modes.install(patches)
    streams.install(patches)
    device_properties.install(patches, device)
    current_device.install(patches)
    driver.install(patches)
    c_functions.install(patches, device)
    memory.install(patches, device)
    accelerator.install(patches, device)
    random_seeds.install(patches)
    generators.install(patches)
    autocast.install(patches)
    module_moves.install(patches)
    autograd.install(patches)
    default_device.install(patches)
    compiling.install(patches)
    attention_backends.install(patches)
    data_parallel.install(patches)
    torchscript.install(patches)
    tensor_types.install(patches)
    saved_files.install(patches)
    threads.install(patches)


def leave(patches: Patches, device: str, move: weights.Move | None) -> None:
    """Undo `install` and move everything on emulated cuda to `device`."""
    tensors = tracked()
    patches.undo()
    leave_process()
    compiling.compile_again()
    target = torch.device(device)
    generators.leave(target)
    _take(tensors, target, move)
    if target.type == "cuda":
        becoming_real.leave()
        # A GPU's default generator starts from a constant seed: all forks would draw the same numbers.
        torch.cuda.manual_seed_all(torch.initial_seed())


def _take(tensors: list[torch.Tensor], device: torch.device, move: weights.Move | None) -> None:
    def copy(storages: list[weights.Storage]) -> list[weights.Storage]:
        return [_copied(storage, device) for storage in storages]

    weights.relocate(move or copy, tensors, CPU)
    weights.move_alone(tensors, device)


def _copied(storage: weights.Storage, device: torch.device) -> weights.Storage:
    if device.type == "cpu":
        return storage
    return torch.UntypedStorage(storage.nbytes(), device=device).copy_(storage)
