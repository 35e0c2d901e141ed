"""The device-related functions and properties of a tensor under the emulation."""

from __future__ import annotations

import functools
from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch import subclasses
from spaces.emulation.dispatch.mode import HANDLERS, Emulation, names_cuda, reentered
from spaces.emulation.dispatch.registration import Function, handles
from spaces.emulation.errors import weights_are_gone
from spaces.emulation.tensors.marks import (
    CPU,
    CPU_DEVICE,
    CUDA,
    CUDA_DEVICE,
    DROPPED,
    mark,
    mark_result,
    owns_its_memory,
    place,
)
from spaces.emulation.tensors.wrappers import dispatches

Tensor = torch.Tensor


@handles(Tensor.device.__get__)
def _device(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return CUDA_DEVICE if place(args[0]) else func(*args, **kwargs)


@handles(Tensor.is_cuda.__get__)
def _is_cuda(_mode: Emulation, _func: Function, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> bool:
    return place(args[0]) != CPU


@handles(Tensor.is_cpu.__get__)
def _is_cpu(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return place(args[0]) == CPU and func(*args, **kwargs)


@handles(Tensor.get_device)
def _get_device(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return 0 if place(args[0]) else func(*args, **kwargs)


@handles(Tensor.to)
def _to(mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensor, *rest = args
    target = rest[0] if rest else kwargs.get("device", kwargs.get("other"))
    if isinstance(target, Tensor):
        where = CUDA if place(target) else CPU
    elif names_cuda(target):
        where = CUDA
        if rest:
            rest[0] = CPU_DEVICE
        else:
            kwargs = {**kwargs, "device": CPU_DEVICE}
    elif isinstance(target, (torch.device, str)):
        where = CPU
    else:
        where = place(tensor)
    if place(tensor) == DROPPED:
        return _stay(tensor, where, [*rest, *kwargs.values()])
    return _settle(mode, tensor, func(tensor, *rest, **kwargs), where)


def _stay(tensor: Any, where: int, options: list[object]) -> Any:
    """`.to()` of a tensor without values, allowed if nothing has to be computed."""
    if where == CPU or any(isinstance(option, torch.dtype) and option != tensor.dtype for option in options):
        raise weights_are_gone(".to()")
    return tensor


def _settle(mode: Emulation, source: Any, result: Any, where: int) -> Any:
    """Place the result of a move.

    A move between devices copies, because both tensors may be changed afterwards. But a tensor that was just read from
    a file, or a Parameter whose module moves, has no second owner: then only the mark changes, without a copy, and
    weights that are mapped from a file stay mapped. A subclass with its own dispatch moves itself.
    """
    if result is not source and where:
        mark_result(result, (source,))
    if place(result) == where:
        return result
    if dispatches(type(result)):
        return subclasses.moved(result, where)
    moves_with_module = mode.moving_modules and isinstance(source, torch.nn.Parameter)
    if not (mode.reading_files or (moves_with_module and owns_its_memory(result))):
        result = result.clone()
    mark(result, where)
    return result


@handles(Tensor.cuda)
def _cuda(mode: Emulation, _func: Function, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    return args[0] if place(args[0]) else _settle(mode, args[0], args[0], CUDA)


@handles(Tensor.cpu)
def _cpu(mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if place(args[0]) == DROPPED:
        raise weights_are_gone(".cpu()")
    return _settle(mode, args[0], func(*args, **kwargs), CPU)


@handles(Tensor.type)
def _type(mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensor, *rest = args
    wanted = rest[0] if rest else kwargs.get("dtype")
    if wanted is None:
        name = func(tensor)
        return name.replace("torch.", "torch.cuda.", 1) if place(tensor) else name
    name = wanted if isinstance(wanted, str) else getattr(wanted, "emulated_name", "")
    if name.startswith("torch.cuda."):
        converted = func(tensor, name.replace("torch.cuda.", "torch.", 1))
        return _settle(mode, tensor, converted, CUDA)
    where = place(tensor) if isinstance(wanted, torch.dtype) else CPU
    if place(tensor) == DROPPED:
        return _stay(tensor, where, [wanted])
    return _settle(mode, tensor, func(tensor, wanted), where)


@handles(Tensor.type_as)
def _type_as(mode: Emulation, _func: Function, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    tensor, other = args
    return _to(mode, Tensor.to, (tensor, other), {})


@handles(Tensor.pin_memory, Tensor.share_memory_)
def _itself(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if func == Tensor.pin_memory or place(args[0]):
        return args[0]
    return func(*args, **kwargs)


@handles(Tensor.is_pinned)
def _is_pinned(_mode: Emulation, _func: Function, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> bool:
    return False


@handles(torch.device, torch._C._nn._parse_to)
def _device_by_index(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A bare index means the accelerator, which a torch without CUDA refuses."""
    if args and isinstance(args[0], int):
        args = (CUDA_DEVICE, *args[1:])
    elif isinstance(kwargs.get("device"), int):
        kwargs = {**kwargs, "device": CUDA_DEVICE}
    return func(*args, **kwargs)


@handles(Tensor.__repr__)
def _repr(_mode: Emulation, _func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    tensor = args[0]
    if place(tensor) == DROPPED:
        kind = "Parameter" if isinstance(tensor, torch.nn.Parameter) else "tensor"
        return f"{kind}(..., device='cuda:0', size={tuple(tensor.shape)}, dtype={tensor.dtype})"
    with reentered():
        return str(torch._tensor_str._str(tensor, **kwargs))


@handles(torch.tensor)
def _tensor(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A list of CUDA scalars becomes a CPU tensor; a CUDA tensor or a given device results in a CUDA tensor."""
    data = args[0] if args else kwargs.get("data")
    device = kwargs.get("device")
    kwargs = {**kwargs, "pin_memory": False}
    where = place(data) if isinstance(data, Tensor) and device is None else CPU
    if where == DROPPED:
        raise weights_are_gone("torch.tensor()")
    if names_cuda(device):
        where, kwargs["device"] = CUDA, CPU_DEVICE
    result = func(*args, **kwargs)
    if where:
        mark(result)
    return result


@handles(torch._C._VariableFunctions._pack_padded_sequence, torch._C._VariableFunctions._pad_packed_sequence)
def _first_result_only(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The second result is a list of lengths, which torch keeps on the CPU."""
    result = func(*args, **kwargs)
    if place(args[0]):
        mark(result[0])
    return result


@handles(Tensor.as_subclass)
def _as_subclass(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    subclasses.see_cuda(args[1] if len(args) > 1 else kwargs["cls"])
    return func(*args, **kwargs)


@handles(Tensor.register_hook)
def _register_hook(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Gradients are made in C++, so they get their mark where the Space's code first sees them."""
    tensor, hook = args
    if not place(tensor):
        return func(tensor, hook, **kwargs)

    @functools.wraps(hook)
    def see_cuda(gradient: Any) -> Any:
        mark(gradient)
        return hook(gradient)

    return func(tensor, see_cuda, **kwargs)


def _plain(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the function unchanged: it touches neither values nor devices; results that share memory share the mark."""
    return func(*args, **kwargs)


def install() -> None:
    """Register the functions without a handler; importing this module registers the handlers."""
    properties = [
        "shape", "dtype", "ndim", "layout", "requires_grad", "is_leaf", "grad_fn", "data", "_base", "_version",
        "is_sparse", "is_sparse_csr", "is_quantized", "is_nested", "is_meta", "is_mps", "is_xla", "is_xpu", "is_hpu",
        "is_mtia", "is_ipu", "is_maia", "is_mkldnn", "is_vulkan", "itemsize", "nbytes", "names", "output_nr",
        "retains_grad", "_backward_hooks", "name", "volatile",
    ]  # fmt: skip
    for name in properties:
        attribute = getattr(Tensor, name, None)
        if attribute is not None and hasattr(attribute, "__get__"):
            HANDLERS[attribute.__get__] = _plain
    for name in ("requires_grad", "data", "grad", "_backward_hooks"):
        HANDLERS[getattr(Tensor, name).__set__] = _plain
    methods = [
        "size", "stride", "storage_offset", "dim", "numel", "nelement", "element_size", "is_contiguous", "detach",
        "is_floating_point", "is_complex", "is_signed", "is_inference", "requires_grad_", "detach_", "untyped_storage",
        "storage", "_typed_storage", "data_ptr", "__len__", "__hash__", "dim_order", "is_shared", "retain_grad",
        "register_post_accumulate_grad_hook", "is_set_to", "has_names", "_is_view", "ndimension",
        "storage_type", "is_same_size", "is_conj", "is_neg",
    ]  # fmt: skip
    for name in methods:
        if hasattr(Tensor, name):
            HANDLERS[getattr(Tensor, name)] = _plain
    functions = [torch.is_floating_point, torch.is_complex, torch.numel, torch.is_inference, torch.detach]
    functions += [torch._has_compatible_shallow_copy_type]
    for function in functions:
        HANDLERS[function] = _plain


@handles(Tensor.grad.__get__)
def _grad(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    grad = func(*args, **kwargs)
    if grad is not None and place(args[0]):
        mark(grad)
    return grad
