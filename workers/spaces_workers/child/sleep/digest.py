"""A digest of the bytes of a storage, computed where they are: it says whether a copy of them is still the same.

Torch's version counters do not say that: writes through `tensor.data`, and those of kernels that get a pointer, are not
counted. Reading the bytes on the device is far faster than a copy over the bus.
"""

from __future__ import annotations

import ctypes
import hashlib
from array import array

from spaces_workers.child.sleep.card import Storage

#: Words of eight bytes that are mixed at a time, enough to keep a GPU busy.
WORDS = 1 << 22

# Odd factors and shifts of the mixer of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
# 2014), as signed numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FACTORS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))
_SHIFTS = (30, 27, 31)


def digest(storage: Storage) -> bytes:
    """64 bits that differ, but for one chance in 2**64, for different bytes. An empty storage has no digest."""
    return _of_memory(storage) if storage.device.type == "cpu" else mixed(storage)


def _of_memory(storage: Storage) -> bytes:
    memory = (ctypes.c_char * storage.nbytes()).from_address(storage.data_ptr())
    return hashlib.sha256(memory).digest()[:8]


def mixed(storage: Storage, at_a_time: int = WORDS) -> bytes:
    """A digest that a GPU computes; on a processor it would be slow."""
    import torch

    whole = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    count = whole.numel() // 8
    words = whole[: count * 8].view(torch.int64)
    places = torch.arange(min(count, at_a_time), device=storage.device) * _GOLDEN
    sums = [
        _mixed(part ^ (places[: part.numel()] + _signed(begin * _GOLDEN))).sum()
        for begin, part in ((begin, words[begin : begin + at_a_time]) for begin in range(0, count, at_a_time))
    ]
    numbers = array("q", torch.stack(sums).tolist() if sums else []).tobytes()
    return hashlib.blake2b(numbers + bytes(whole[count * 8 :].tolist()), digest_size=8).digest()


def _mixed(words: Storage) -> Storage:
    """Each word replaced, in place, by one that depends on all its bits."""
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        words ^= (words >> shift).bitwise_and_((1 << (64 - shift)) - 1)  # the shift is that of signed numbers
        words *= factor
    return words


def _signed(number: int) -> int:
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
