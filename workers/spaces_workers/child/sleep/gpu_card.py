"""The card of a real GPU, through torch. No GPU has seen this code yet: `zerofarm doctor --gpu` tries it on one."""

from __future__ import annotations

import ctypes
from functools import cached_property, wraps
from pathlib import Path
from typing import Any  # torch is not typed here

from spaces_workers.child.sleep.card import HostBytes, Storage
from spaces_workers.child.sleep.region import PinningRefused
from spaces_workers.child.sleep.unpinned_copies import UnpinnedCopies

#: A part of the path of a library that ahead-of-time compilation has made.
_COMPILED = "/aotinductor/"

#: `cudaHostRegisterReadOnly` of <driver_types.h>, and the attribute of a device that takes it, of <cuda.h>:
#: CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED.
_READ_ONLY, _READ_ONLY_SUPPORTED = 0x08, 113


class GpuCard:
    """The GPU of this process; made before a task runs."""

    def __init__(self, unpinned: UnpinnedCopies | None = None) -> None:
        self._torch = _torch()
        self._unpinned = unpinned or UnpinnedCopies()
        self._fixed = ""
        self._watch_graphs()
        self._watch_exports()

    def obstacle(self) -> str:
        if _COMPILED in Path("/proc/self/maps").read_text():
            return "it has loaded a model that was compiled ahead of time, which may keep addresses of its weights"
        return self._fixed

    def holds(self, storage: Storage) -> bool:
        if storage.device.type != "cuda" or getattr(storage, "stays", False):
            return False
        return bool(storage.nbytes() and storage.resizable() and storage.data_ptr())

    def fetch(self, storage: Storage, into: HostBytes, *, pinned: bool) -> None:
        if pinned:
            into.copy_(self._bytes_of(storage), non_blocking=True)
        else:
            self._unpinned.to_host(into, self._bytes_of(storage))

    def release(self, storage: Storage) -> None:
        storage.resize_(0)

    def prepare(self, size: int) -> None:
        # One allocation from the driver, freed at once: torch then cuts all storages from it.
        self._torch.empty(size, dtype=self._torch.uint8, device="cuda")

    def restore(self, storage: Storage, source: HostBytes, *, pinned: bool) -> None:
        storage.resize_(source.numel())
        if pinned:
            self._bytes_of(storage).copy_(source, non_blocking=True)
        else:
            self._unpinned.to_device(source, self._bytes_of(storage))

    def drop(self) -> None:
        self._unpinned.drop()

    def settle(self) -> None:
        self._unpinned.finish()
        self._torch.cuda.synchronize()

    def finish(self) -> None:
        self.settle()
        self._torch.cuda.empty_cache()

    def _bytes_of(self, storage: Storage) -> Any:
        return self._torch.empty(0, dtype=self._torch.uint8, device=storage.device).set_(storage)

    def _watch_graphs(self) -> None:
        """A recorded graph has the addresses of its tensors in it, and these change in sleep."""
        kind = self._torch.cuda.CUDAGraph
        begin = kind.capture_begin

        @wraps(begin)
        def noticed(graph: Any, *args: Any, **options: Any) -> Any:
            self._fixed = "it has recorded a CUDA graph, whose tensors must stay at their addresses"
            return begin(graph, *args, **options)

        kind.capture_begin = noticed

    def _watch_exports(self) -> None:
        """Another library or process keeps the address of a tensor that it is given: its storage stays where it is."""
        kind = self._torch.Tensor
        to_dlpack, interface = kind.__dlpack__, kind.__cuda_array_interface__

        @wraps(to_dlpack)
        def exported(tensor: Any, *args: Any, **options: Any) -> Any:
            tensor.untyped_storage().stays = True
            return to_dlpack(tensor, *args, **options)

        def described(tensor: Any) -> Any:
            description = interface.fget(tensor)
            tensor.untyped_storage().stays = True
            return description

        storages = self._torch.UntypedStorage
        share = storages._share_cuda_

        @wraps(share)
        def shared(storage: Any, *args: Any, **options: Any) -> Any:
            storage.stays = True
            return share(storage, *args, **options)

        storages._share_cuda_ = shared
        kind.__dlpack__ = exported
        kind.__cuda_array_interface__ = property(described)


class CudaDriver:
    """Pins memory through CUDA's runtime."""

    @cached_property
    def pins_read_only(self) -> bool:
        """Whether the GPU can read memory that this process has mapped read-only."""
        try:
            ask = ctypes.CDLL("libcuda.so.1").cuDeviceGetAttribute
        except (OSError, AttributeError):
            return False
        answer = ctypes.c_int(0)
        status = ask(ctypes.byref(answer), _READ_ONLY_SUPPORTED, _torch().cuda.current_device())
        return status == 0 and bool(answer.value)

    def register(self, address: int, size: int, *, read_only: bool) -> None:
        status = int(_torch().cuda.cudart().cudaHostRegister(address, size, _READ_ONLY if read_only else 0))
        if status:
            raise PinningRefused(f"cudaHostRegister of {size} bytes says {status}")

    def unregister(self, address: int) -> None:
        _torch().cuda.cudart().cudaHostUnregister(address)


def _torch() -> Any:
    import torch

    return torch
