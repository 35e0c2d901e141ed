"""Repairs shared libraries that request an executable stack: glibc 2.41 and hardened kernels refuse to load them.

The linker marks a library so if an object in it does not declare its stack, as those made from GPU kernels.
"""

from __future__ import annotations

import struct
from pathlib import Path

_MAGIC_64_BIT_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_STACK = 0x6474E551  # PT_GNU_STACK
_EXECUTABLE = 1  # PF_X


def forbid_executable_stack(library: Path) -> bool:
    """Clear the mark in the program header of `library`. Returns whether there was one."""
    with library.open("r+b") as file:
        header = file.read(64)
        if not header.startswith(_MAGIC_64_BIT_LITTLE_ENDIAN):
            return False
        (table,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        for offset in range(table, table + size * count, size):
            file.seek(offset)
            kind, flags = struct.unpack("<II", file.read(8))
            if kind == _STACK and flags & _EXECUTABLE:
                file.seek(offset + 4)
                file.write(struct.pack("<I", flags & ~_EXECUTABLE))
                return True
    return False
