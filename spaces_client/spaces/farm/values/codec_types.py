"""The table of types that are encoded without pickle: each kind has a number on the wire, a writer and a reader.

A writer turns a value into simpler fields, or returns None to leave the value to pickle; a reader builds the value from
the fields. Readers get bytes from the network: they build data and run no code. Types are matched exactly, so that a
subclass never loses its type; `images` explains the one exception, images opened from a file. numpy, torch and PIL are
recognized by name and imported only by the readers.
"""

from __future__ import annotations

import pathlib
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any

from spaces.farm.values import arrays, images, tensors
from spaces.farm.values.raw_bytes import Raw

Fields = list[Any]  # any: whatever the codec can write
Writer = Callable[[Any], Fields | None]
Reader = Callable[..., Any]  # any: the fields of its kind


class Kind(Enum):
    """The first element of a typed list, which gives the type. The numbers are part of the wire format."""

    BUFFER = 1
    PICKLE = 2
    REFERENCE = 3
    TUPLE = 4
    SET = 5
    FROZENSET = 6
    MAP = 7
    INTEGER = 8
    COMPLEX = 9
    BYTES = 10
    BYTEARRAY = 11
    SLICE = 12
    RANGE = 13
    PATH = 14
    PURE_PATH = 15
    DATETIME = 16
    DATE = 17
    TIME = 18
    TIMEDELTA = 19
    DECIMAL = 20
    UUID = 21
    ARRAY = 32
    NUMPY_SCALAR = 33
    TENSOR = 34
    TORCH_DTYPE = 35
    TORCH_DEVICE = 36
    IMAGE = 37
    TORCH_SIZE = 38
    MEMORYVIEW = 39


@dataclass(frozen=True, slots=True)
class Extension:
    """One row of the table."""

    kind: Kind
    write: Writer


@lru_cache(maxsize=1024)
def extension_of(cls: type) -> Extension | None:
    """Return the row for values of exactly this class; None: they are sent by reference or by pickle."""
    if cls in _STANDARD:
        return _STANDARD[cls]
    for library, kind, covers, write in _LIBRARIES:
        if library in sys.modules and covers(cls):
            return Extension(kind, write)
    return None


def read(kind: Kind, *fields: Any) -> Any:  # any: the type that the kind stands for
    """Build a value from its kind and fields. Fields that no writer made may raise almost anything."""
    return _READERS[kind](*fields)


def _write_dict(value: dict[Any, Any]) -> Fields:  # any: any key, any value
    return [part for item in value.items() for part in item]


def _read_dict(*parts: Any) -> dict[Any, Any]:  # any: any key, any value
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _write_integer(value: int) -> Fields:
    return [value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)]


def _read_integer(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _write_datetime(value: datetime) -> Fields | None:
    if value.tzinfo not in (None, UTC):
        return None  # a time zone is more than its offset
    return [value.isoformat(), value.fold]


def _read_datetime(text: str, fold: int) -> datetime:
    return datetime.fromisoformat(text).replace(fold=fold)


def _write_time(value: time) -> Fields | None:
    return None if value.tzinfo else [value.isoformat(), value.fold]


def _read_time(text: str, fold: int) -> time:
    return time.fromisoformat(text).replace(fold=fold)


def _write_bytes(value: bytes | bytearray) -> Fields:
    return [Raw(memoryview(value))]


def _write_memoryview(view: memoryview) -> Fields:
    return [view.format, list(view.shape or ()), view.readonly, Raw(memoryview(view.tobytes()))]


def _read_memoryview(form: str, shape: list[int], is_readonly: bool, data: bytes | memoryview) -> memoryview:
    view = memoryview(bytes(data) if is_readonly else bytearray(data))
    return view if form == "B" and len(shape) == 1 else view.cast(form, shape)  # type: ignore[call-overload] # any format


_STANDARD: dict[type, Extension] = {
    tuple: Extension(Kind.TUPLE, list),
    set: Extension(Kind.SET, list),
    frozenset: Extension(Kind.FROZENSET, list),
    dict: Extension(Kind.MAP, _write_dict),
    int: Extension(Kind.INTEGER, _write_integer),
    complex: Extension(Kind.COMPLEX, lambda value: [value.real, value.imag]),
    bytes: Extension(Kind.BYTES, _write_bytes),
    bytearray: Extension(Kind.BYTEARRAY, _write_bytes),
    memoryview: Extension(Kind.MEMORYVIEW, _write_memoryview),
    slice: Extension(Kind.SLICE, lambda value: [value.start, value.stop, value.step]),
    range: Extension(Kind.RANGE, lambda value: [value.start, value.stop, value.step]),
    type(pathlib.Path()): Extension(Kind.PATH, lambda value: [str(value)]),
    type(pathlib.PurePath()): Extension(Kind.PURE_PATH, lambda value: [str(value)]),
    datetime: Extension(Kind.DATETIME, _write_datetime),
    date: Extension(Kind.DATE, lambda value: [value.isoformat()]),
    time: Extension(Kind.TIME, _write_time),
    timedelta: Extension(Kind.TIMEDELTA, lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: Extension(Kind.DECIMAL, lambda value: [str(value)]),
    uuid.UUID: Extension(Kind.UUID, lambda value: [value.bytes]),
}

_LIBRARIES: list[tuple[str, Kind, Callable[[type], bool], Writer]] = [
    ("numpy", Kind.ARRAY, arrays.is_array, arrays.write_array),
    ("numpy", Kind.NUMPY_SCALAR, arrays.is_scalar, arrays.write_scalar),
    ("torch", Kind.TENSOR, tensors.is_tensor, tensors.write_tensor),
    ("torch", Kind.TORCH_DTYPE, tensors.is_torch_dtype, tensors.write_torch_dtype),
    ("torch", Kind.TORCH_DEVICE, tensors.is_torch_device, tensors.write_torch_device),
    ("torch", Kind.TORCH_SIZE, tensors.is_torch_size, list),
    ("PIL.Image", Kind.IMAGE, images.is_image, images.write_image),
]

_READERS: dict[Kind, Reader] = {
    Kind.TUPLE: lambda *items: items,
    Kind.SET: lambda *items: set(items),
    Kind.FROZENSET: lambda *items: frozenset(items),
    Kind.MAP: _read_dict,
    Kind.INTEGER: _read_integer,
    Kind.COMPLEX: complex,
    Kind.BYTES: bytes,
    Kind.BYTEARRAY: bytearray,
    Kind.MEMORYVIEW: _read_memoryview,
    Kind.SLICE: slice,
    Kind.RANGE: range,
    Kind.PATH: pathlib.Path,
    Kind.PURE_PATH: pathlib.PurePath,
    Kind.DATETIME: _read_datetime,
    Kind.DATE: date.fromisoformat,
    Kind.TIME: _read_time,
    Kind.TIMEDELTA: timedelta,
    Kind.DECIMAL: Decimal,
    Kind.UUID: lambda data: uuid.UUID(bytes=data),
    Kind.ARRAY: arrays.read_array,
    Kind.NUMPY_SCALAR: arrays.read_scalar,
    Kind.TENSOR: tensors.read_tensor,
    Kind.TORCH_DTYPE: tensors.read_torch_dtype,
    Kind.TORCH_DEVICE: tensors.read_torch_device,
    Kind.TORCH_SIZE: tensors.read_torch_size,
    Kind.IMAGE: images.read_image,
}
