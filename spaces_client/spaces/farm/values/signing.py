"""Signs pickles. Reading a pickle runs code, so only pickles that were signed with the Space's own key are read.

The farm has one key, which only the launcher and the workers hold; each Space signs with a key derived from it, so that
one Space's signature is invalid for every other Space.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def derive_space_key(farm_key: bytes, space: str) -> bytes:
    """Return the key of one Space: 32 bytes that do not reveal the farm's key (HKDF-Expand of RFC 5869, one block).

    Raises ValueError for a farm key of fewer than 16 bytes, which could be guessed.
    """
    if len(farm_key) < 16:
        raise ValueError(f"a farm key must have at least 16 bytes, got {len(farm_key)}")
    return hmac.digest(farm_key, b"zerofarm space key\0" + space.encode() + b"\x01", "sha256")


def sign(key: bytes, pickled: bytes, buffers: Iterable[bytes | memoryview]) -> bytes:
    """Return the HMAC-SHA256 of a pickle and of the buffers outside it, including their order and sizes."""
    if not key:
        raise ValueError("a pickle can only be signed with the Space's key, and there is none")
    signature = hmac.new(key, b"zerofarm pickle\0" + hashlib.sha256(pickled).digest(), "sha256")
    for buffer in buffers:
        signature.update(hashlib.sha256(buffer).digest())
    return signature.digest()


def verify(key: bytes, signature: bytes, pickled: bytes, buffers: Iterable[bytes | memoryview]) -> bool:
    """Whether `sign` made this signature of these bytes with this key, compared in constant time."""
    return bool(key) and hmac.compare_digest(sign(key, pickled, buffers), signature)
