"""Encodes numpy arrays: shape, dtype and order of the axes in the message, their bytes beside it.

An array arrives as `array.copy(order="K")` makes one: writable and private, with the same order of its axes in memory.
Arrays that are more than their bytes (object, string and user-made dtypes) are left to pickle.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from spaces.farm.values.raw_bytes import Raw, writable

if TYPE_CHECKING:
    import numpy as np

Data = bytes | memoryview

#: The form of `numpy.dtype.str`: byte order, kind, size, and a unit for times. Other texts are not passed to numpy.
_DTYPE = re.compile(r"[<>|=][?biufcSUVmM]\d*(\[\d*[A-Za-zμ]+\])?")


def is_array(cls: type) -> bool:
    """Whether instances are plain numpy arrays; a subclass (matrix, recarray, masked) keeps its type by pickle."""
    return cls is _of("numpy", "ndarray")


def write_array(array: np.ndarray[Any, Any]) -> list[Any] | None:  # any: fields
    """Shape, dtype, the order of the axes in memory, and the bytes."""
    description = _describe(array.dtype)
    if description is None:
        return None
    if not array.flags.c_contiguous and not array.flags.f_contiguous:
        array = array.copy(order="K")
    axes = _axes(array)
    return [list(array.shape), description, axes, _bytes_of(array.transpose(axes) if axes else array)]


def read_array(shape: list[int], description: Any, axes: list[int], data: Data) -> np.ndarray[Any, Any]:  # any: as sent
    """A writable array over `data`, or over a copy if `data` is read-only."""
    import numpy as np

    if not axes:
        return np.ndarray(tuple(shape), _dtype(description), writable(data))
    array = np.ndarray(tuple(shape[axis] for axis in axes), _dtype(description), writable(data))
    return array.transpose(np.argsort(axes))


def is_scalar(cls: type) -> bool:
    """Whether instances are numpy's own scalars."""
    generic = _of("numpy", "generic")
    return generic is not None and issubclass(cls, generic) and cls.__module__ == "numpy"


def write_scalar(scalar: np.generic) -> list[Any] | None:  # any: fields
    """The dtype and the bytes."""
    description = _describe(scalar.dtype)
    return None if description is None else [description, scalar.tobytes()]


def read_scalar(description: Any, data: bytes) -> Any:  # any: a scalar of the described dtype
    """A scalar of the described dtype."""
    import numpy as np

    return np.ndarray((), _dtype(description), writable(data))[()]


def _of(module: str, name: str) -> Any:  # any: a class of a library that may not be loaded
    return getattr(sys.modules.get(module), name, None)


def _axes(array: np.ndarray[Any, Any]) -> list[int]:  # any: of any dtype
    """The axes from the one with the longest steps in memory to that with the shortest; none: as they are counted."""
    if array.flags.c_contiguous:
        return []
    return sorted(range(array.ndim), key=lambda axis: -array.strides[axis])


def _bytes_of(array: np.ndarray[Any, Any]) -> Raw | bytes:  # any: of any dtype
    import numpy as np

    if not array.nbytes:
        return b""
    return Raw(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _describe(dtype: np.dtype[Any]) -> Any:  # any: a string, or a list of fields
    """A description that rebuilds this dtype exactly, or None."""
    import numpy as np

    if dtype.hasobject or dtype.metadata:
        return None
    description = np.lib.format.dtype_to_descr(dtype)
    try:
        same = _dtype(description)
    except ValueError:
        return None
    return (
        description
        if same == dtype and same.type is dtype.type and same.isalignedstruct == dtype.isalignedstruct
        else None
    )


def _dtype(description: Any) -> np.dtype[Any]:  # any: sent by a peer
    import numpy as np

    _check_description(description)
    dtype = np.lib.format.descr_to_dtype(description)
    if dtype.hasobject:
        raise ValueError(f"an array of {dtype} cannot be sent as bytes")
    return dtype


def _check_description(description: Any) -> None:  # any: what a peer says
    match description:
        case str() if _DTYPE.fullmatch(description):
            return
        case [[str() | (str(), str()), _, *_], *_] if isinstance(description, list):
            for _name, inner, *_shape in description:
                _check_description(inner)
        case (inner, tuple()):
            _check_description(inner)
        case _:
            raise ValueError(f"{description!r} describes no numpy dtype that can be sent as bytes")
