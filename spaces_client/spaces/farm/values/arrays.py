"""Encodes numpy arrays and torch tensors: their description in the message, their bytes beside it.

Arrays arrive writable and private. Tensors arrive on the CPU, contiguous, from any device. Values that are more than
their bytes (object, string and user-made dtypes; sparse, quantized and meta tensors) are left to pickle.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from spaces.farm.values.glance import is_a
from spaces.farm.values.raw_bytes import Raw, writable

if TYPE_CHECKING:
    import numpy as np

Data = bytes | memoryview
Tensor = Any  # any: torch ships no types that a process without torch could use

#: The form of `numpy.dtype.str`: byte order, kind, size, and a unit for times. Other texts are not passed to numpy.
_DTYPE = re.compile(r"[<>|=][?biufcSUVmM]\d*(\[\d*[A-Za-zμ]+\])?")


def is_array(cls: type) -> bool:
    """Whether instances are plain numpy arrays; a subclass (matrix, recarray, masked) keeps its type by pickle."""
    return cls is _of("numpy", "ndarray")


def write_array(array: np.ndarray[Any, Any]) -> list[Any] | None:  # any: fields
    """Shape, dtype, order and bytes; Fortran order is kept."""
    description = _describe(array.dtype)
    if description is None:
        return None
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return [list(array.shape), description, "F" if fortran else "C", _bytes_of(array.T if fortran else array)]


def read_array(shape: list[int], description: Any, order: Any, data: Data) -> np.ndarray[Any, Any]:  # any: unchecked
    """A writable array over `data`, or over a copy if `data` is read-only."""
    import numpy as np

    return np.ndarray(tuple(shape), _dtype(description), writable(data), order=order)


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


def is_tensor(cls: type) -> bool:
    """Whether instances are plain tensors, or the farm's own emulated CUDA tensors."""
    tensor = _of("torch", "Tensor")
    return cls is tensor or (tensor is not None and cls.__module__.startswith("spaces.") and issubclass(cls, tensor))


def write_tensor(tensor: Tensor) -> list[Any] | None:  # any: fields
    """Shape, dtype, `requires_grad` and bytes."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        return None
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    data = Raw(plain.reshape(-1).view(torch.uint8).numpy().data) if plain.numel() else b""
    return [list(tensor.shape), _torch_name(tensor.dtype), tensor.requires_grad, data]


def read_tensor(shape: list[int], dtype_name: str, requires_grad: bool, data: Data) -> Tensor:
    """A CPU tensor over `data`, or over a copy if `data` is read-only."""
    import torch

    dtype = read_torch_dtype(dtype_name)
    if 0 in shape:
        tensor = torch.empty(tuple(shape), dtype=dtype, device="cpu")
    else:
        tensor = torch.frombuffer(writable(data), dtype=torch.uint8).view(dtype).reshape(tuple(shape))
    return tensor.requires_grad_(requires_grad) if requires_grad else tensor


def is_parameter(cls: type) -> bool:
    """Whether instances are plain parameters of a torch module."""
    return cls is _of("torch.nn.parameter", "Parameter")


def rebuild_parameter(*fields: Any) -> Any:  # any: the fields of a tensor; a parameter
    """A parameter on the tensor that the fields describe. Pickles refer to this function."""
    import torch

    tensor = read_tensor(*fields)
    return torch.nn.Parameter(tensor.detach(), requires_grad=tensor.requires_grad)


def is_module(value: object) -> bool:
    """Whether `value` is a torch module."""
    module = _of("torch.nn", "Module")
    return module is not None and is_a(value, module)


def is_torch_dtype(cls: type) -> bool:
    """Whether instances are torch dtypes."""
    return cls is _of("torch", "dtype")


def write_torch_dtype(dtype: Any) -> list[Any]:  # any: a torch.dtype; fields
    """Its name in torch."""
    return [_torch_name(dtype)]


def read_torch_dtype(name: str) -> Any:  # any: a torch.dtype
    """The dtype of that name. Raises ValueError if this torch has none."""
    import torch

    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"torch {torch.__version__} has no dtype {name!r}")
    return dtype


def is_torch_device(cls: type) -> bool:
    """Whether instances are torch devices."""
    return cls is _of("torch", "device")


def write_torch_device(device: Any) -> list[Any]:  # any: a torch.device; fields
    """As torch prints it: `cuda:0`."""
    return [str(device)]


def read_torch_device(name: str) -> Any:  # any: a torch.device
    """The device of that name."""
    import torch

    return torch.device(name)


def _of(module: str, name: str) -> Any:  # any: a class of a library that may not be loaded
    return getattr(sys.modules.get(module), name, None)


def _torch_name(dtype: Any) -> str:  # any: a torch.dtype
    return str(dtype).removeprefix("torch.")


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
