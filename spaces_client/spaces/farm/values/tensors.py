"""Encodes torch tensors: their description in the message, their bytes beside it.

A tensor arrives as `copy.deepcopy` makes one: private and with its strides. So `channels_last` is kept, and an expanded
tensor sends each element once. A large view that leaves out most of its memory, or whose elements overlap in another
way, arrives as `clone` makes it. One on cuda arrives on the cuda of a Space's process, which may be emulated; a
program gets it on the CPU. Tensors that are more than their bytes (sparse, quantized, nested, meta) are left to pickle.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from spaces import emulation, role
from spaces.farm.values.glance import is_a
from spaces.farm.values.raw_bytes import Raw, writable
from spaces.role import Role

Data = bytes | memoryview
Tensor = Any  # any: torch ships no types that a process without torch could use

#: Gaps between the elements of a view are sent up to this size, or up to the size of the elements.
MOST_GAPS_BYTES = 1024 * 1024


def is_tensor(cls: type) -> bool:
    """Whether instances are plain tensors, or the farm's own emulated CUDA tensors."""
    tensor = _of("torch", "Tensor")
    return cls is tensor or (tensor is not None and cls.__module__.startswith("spaces.") and issubclass(cls, tensor))


def write_tensor(tensor: Tensor) -> list[Any] | None:  # any: fields
    """Shape, strides, dtype, `requires_grad`, the bytes, the gradient and, if it is on cuda, `cuda`."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
        return None
    strides: tuple[int, ...] = tensor.stride()
    data: Raw | bytes = b""
    if tensor.numel():
        strides, memory = _memory_of(tensor.detach())
        data = Raw(memory.view(torch.uint8).numpy().data)
    grad = tensor.grad if tensor.requires_grad and tensor.is_leaf else None
    place = ["cuda"] if tensor.device.type == "cuda" else []
    return [list(tensor.shape), list(strides), _torch_name(tensor.dtype), tensor.requires_grad, data, grad, *place]


def read_tensor(
    shape: list[int],
    strides: list[int],
    dtype_name: str,
    requires_grad: bool,
    data: Data,
    grad: Tensor | None,
    place: str = "cpu",
) -> Tensor:
    """A tensor over `data`, or over a copy if `data` is read-only or the place is a GPU."""
    import torch

    dtype = read_torch_dtype(dtype_name)
    if 0 in shape:
        tensor = torch.empty_strided(tuple(shape), tuple(strides), dtype=dtype, device="cpu")
    else:
        memory = torch.frombuffer(writable(data), dtype=torch.uint8).view(dtype)
        tensor = memory.as_strided(tuple(shape), tuple(strides))
    return _with_gradient(_on_cuda(tensor) if place == "cuda" else tensor, requires_grad, grad)


def is_parameter(cls: type) -> bool:
    """Whether instances are plain parameters of a torch module."""
    return cls is _of("torch.nn.parameter", "Parameter")


def rebuild_parameter(*fields: Any) -> Any:  # any: the fields of a tensor; a parameter
    """A parameter on the tensor that the fields describe. Pickles refer to this function."""
    import torch

    tensor = read_tensor(*fields)
    return _with_gradient(torch.nn.Parameter(tensor.detach(), requires_grad=False), tensor.requires_grad, tensor.grad)


def is_module(value: object) -> bool:
    """Whether `value` is a torch module."""
    module = _of("torch.nn", "Module")
    return module is not None and is_a(value, module)


def is_torch_size(cls: type) -> bool:
    """Whether instances are shapes of tensors."""
    return cls is _of("torch", "Size")


def read_torch_size(*sizes: int) -> Any:  # any: a torch.Size
    """The shape."""
    import torch

    return torch.Size(sizes)


def is_torch_dtype(cls: type) -> bool:
    """Whether instances are torch dtypes."""
    return cls is _of("torch", "dtype")


def write_torch_dtype(dtype: Any) -> list[Any]:  # any: a torch.dtype; fields
    """Its name in torch."""
    return [_torch_name(dtype)]


def read_torch_dtype(name: str) -> Any:  # any: a torch.dtype
    """The dtype of that name. Raises ValueError if torch here has none."""
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


def _on_cuda(tensor: Tensor) -> Tensor:
    if emulation.is_installed():
        emulation.adopt(tensor)
        return tensor
    import torch

    is_a_program = role.current() is Role.NONE
    return tensor if is_a_program or not torch.cuda.is_available() else tensor.to("cuda")


def _memory_of(tensor: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """The strides that the tensor keeps, and a CPU tensor of one axis with its elements in the order of its memory."""
    tensor = tensor.resolve_conj().resolve_neg()
    if not _keeps_strides(tensor):
        tensor = tensor.clone()
    strides = tensor.stride()
    unexpanded = tensor[tuple(slice(1) if step == 0 else slice(None) for step in strides)].cpu()
    span = _span(unexpanded.shape, strides)
    if span == unexpanded.numel() and unexpanded.stride() == strides:
        return strides, unexpanded.as_strided((span,), (1,))
    memory = unexpanded.new_zeros(span)
    memory.as_strided(unexpanded.shape, strides).copy_(unexpanded)
    return strides, memory


def _keeps_strides(tensor: Tensor) -> bool:
    """Whether only expanded axes overlap in memory, and the gaps between the elements are small."""
    span = count = 1
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if step and size > 1:
            if step < span:
                return False
            span += step * (size - 1)
            count *= size
    return bool(span * tensor.element_size() <= max(2 * count * tensor.element_size(), MOST_GAPS_BYTES))


def _span(shape: Sequence[int], strides: Sequence[int]) -> int:
    """From the first element to the last."""
    return 1 + sum(step * (size - 1) for step, size in zip(strides, shape, strict=True))


def _with_gradient(tensor: Tensor, requires_grad: bool, grad: Tensor | None) -> Tensor:
    if requires_grad:
        tensor.requires_grad_(True)
        tensor.grad = grad
    return tensor


def _of(module: str, name: str) -> Any:  # any: a class of a library that may not be loaded
    return getattr(sys.modules.get(module), name, None)


def _torch_name(dtype: Any) -> str:  # any: a torch.dtype
    return str(dtype).removeprefix("torch.")
