"""The tensors that compiled code uses. They are never in a package: they belong to the module that it runs for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch._functorch._aot_autograd.subclass_parametrization import unwrap_tensor_subclass_parameters
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

Tensors = Mapping[str, torch.Tensor]


class Weights:
    """Tensors by their names in the module's state; read on first use, when they are on the GPU already.

    `to_cuda` moves them, as in the official package, for Spaces that build these by hand.
    """

    def __init__(self, constants_map: Tensors | None = None, to_cuda: bool = False) -> None:
        tensors = dict(constants_map or {})
        if to_cuda:
            tensors = {name: tensor.to("cuda") for name, tensor in tensors.items()}
        self._read: Callable[[], Tensors] = lambda: tensors

    @classmethod
    def of_module(cls, module: torch.nn.Module) -> Weights:
        """The current weights of a module; quantized ones are unwrapped when the compiled code first runs."""
        weights, structure = cls(), structure_of(module)
        weights._read = lambda: tensors_in(structure)
        return weights

    @classmethod
    def of_program(cls, program: torch.export.ExportedProgram) -> Weights:
        """The weights of an exported program: the parameters of the exported module."""
        weights = cls()
        weights._read = lambda: tensors_of_program(program)
        return weights

    @cached_property
    def constants_map(self) -> Tensors:
        """The tensors by name."""
        return self._read()


def tensors_of_program(program: torch.export.ExportedProgram) -> Tensors:
    constants = {name: value for name, value in program.constants.items() if isinstance(value, torch.Tensor)}
    tensors = {**constants, **program.state_dict}
    if not all(map(is_plain, tensors.values())):
        return {**tensors, **tensors_in(structure_of(program.module()))}
    return tensors


def tensors_in(structure: torch.nn.Module) -> Tensors:
    """Parameters and buffers; a quantized tensor as the plain tensors inside it, under the compiler's names.

    Unwrapping changes the module, so pass only a result of `structure_of`.
    """
    unwrap_tensor_subclass_parameters(structure)
    named: dict[str, torch.Tensor] = dict(structure.named_buffers(remove_duplicate=False))
    named.update(structure.named_parameters(remove_duplicate=False))
    return named


def structure_of(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of a module's structure, with the same tensors."""
    copy: torch.nn.Module = object.__new__(type(module))
    copy.__dict__ = dict(module.__dict__)
    for name in ("_parameters", "_buffers"):
        copy.__dict__[name] = dict(module.__dict__[name])
    modules = {name: structure_of(child) for name, child in module._modules.items() if child is not None}
    copy.__dict__["_modules"] = modules
    return copy


def let_go(module: torch.nn.Module) -> None:
    """Replace a module's parameters by empty ones; the old ones are freed unless compiled code uses them.

    Their type and device remain.
    """
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                empty = torch.empty(0, dtype=parameter.dtype, device=parameter.device)
                part._parameters[name] = torch.nn.Parameter(empty, requires_grad=False)


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor is no wrapper around other tensors, such as a quantized one."""
    return not is_traceable_wrapper_subclass(tensor)


def sha256(tensor: torch.Tensor) -> str:
    """The digest of a tensor's values."""
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.sha256(data).hexdigest()
