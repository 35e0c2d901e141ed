"""Memory that processes share and none of them can change: files in memory, sealed after they were filled (memfd).

A process needs only a descriptor to read one, and its bytes never change. The kernel frees it with the last descriptor
and mapping.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import weakref
from typing import Any

from spaces_workers.child.sleep.card import HostBytes

#: With these seals nobody can write, resize, or add and remove seals.
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

_PIECE = 64 << 20
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def sealed_copy(source: HostBytes) -> int:
    """A descriptor of a sealed copy, which the caller must close. Raises OSError."""
    whole = memoryview(_at(source.data_ptr(), source.numel())).cast("B")
    fd = os.memfd_create("copies", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        written = 0
        while written < len(whole):
            written += os.write(fd, whole[written : written + _PIECE])
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def mapped(fd: int, size: int) -> HostBytes:
    """The bytes of sealed memory. To write to them ends the process. Raises OSError.

    Not by `mmap`, whose read-only buffers torch takes with a warning only, and which keeps a descriptor for each.
    """
    import torch

    address = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    if address in (None, _FAILED):
        raise OSError(ctypes.get_errno(), f"sealed memory of {size} bytes cannot be mapped")
    memory = _at(address, size)
    weakref.finalize(memory, _libc.munmap, address, size).atexit = False
    return torch.frombuffer(memory, dtype=torch.uint8)  # which keeps `memory`


def _at(address: int, size: int) -> Any:  # Any: an array of C
    return (ctypes.c_char * size).from_address(address)
