"""Putting compiled code in place of a module's own."""

from __future__ import annotations

import functools
from typing import Any

import torch

from spaces.aoti.model import CompiledModel, Eager, LazyModel
from spaces.aoti.weights import Weights


def apply(compiled: CompiledModel, module: torch.nn.Module, method: str) -> None:
    """See `spaces.aoti_apply`."""
    if compiled.weights is None:
        compiled = compiled.with_weights(Weights.of_module(module))
    setattr(module, method, _in_place_of(_own(module, method), compiled))


def patch(module: torch.nn.Module, model: LazyModel, method: str) -> None:
    """See `spaces.aoti_patch`."""
    apply(model.with_weights(Weights.of_module(module)), module, method)


def _own(module: torch.nn.Module, method: str) -> Eager:
    """The module's own code, also if it has been replaced before."""
    there: Eager = getattr(module, method)
    return getattr(there, "eager", there)


def _in_place_of(eager: Eager, compiled: CompiledModel) -> Eager:
    """A function with the signature of the module's own, which `torch.export` and pipelines look at."""

    @functools.wraps(eager)
    def call(*args: Any, **kwargs: Any) -> Any:  # Any: the module's own arguments
        return compiled.run(eager, args, kwargs)

    call.eager = eager  # type: ignore[attr-defined] # read by `_own`
    return call
