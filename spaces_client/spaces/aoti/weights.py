"""The tensors that compiled code works on. They are never in a package: they are those of the module it runs for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch._functorch._aot_autograd.subclass_parametrization import unwrap_tensor_subclass_parameters
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

Tensors = Mapping[str, torch.Tensor]


class Weights:
    """Tensors by their names in the module's state; read when first needed, which is after they moved to the GPU.

    `to_cuda` moves them: the official package's own way of sending weights, for Spaces that build these by hand.
    """

    def __init__(self, constants_map: Tensors | None = None, to_cuda: bool = False) -> None:
        tensors = dict(constants_map or {})
        if to_cuda:
            tensors = {name: tensor.to("cuda") for name, tensor in tensors.items()}
        self._read: Callable[[], Tensors] = lambda: tensors

    @classmethod
    def of_module(cls, module: torch.nn.Module) -> Weights:
        """Those that a module has now; a quantized one is unwrapped when the compiled code runs first."""
        weights, structure = cls(), structure_of(module)
        weights._read = lambda: tensors_in(structure)
        return weights

    @classmethod
    def of_program(cls, program: torch.export.ExportedProgram) -> Weights:
        """Those of an exported program, which are the parameters of the module that was exported."""
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
    """Parameters and buffers; a quantized one as the plain tensors inside it, under the names the compiler gives them.

    Unwrapping those changes the module, so this is for what `structure_of` made.
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
    """Put empty parameters in place of a module's own, which are freed unless compiled code works on them.

    Type and device still answer.
    """
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                empty = torch.empty(0, dtype=parameter.dtype, device=parameter.device)
                part._parameters[name] = torch.nn.Parameter(empty, requires_grad=False)


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor is no wrapper around others, as a quantized one is."""
    return not is_traceable_wrapper_subclass(tensor)


def sha256(tensor: torch.Tensor) -> str:
    """The digest of a tensor's values."""
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.sha256(data).hexdigest()
