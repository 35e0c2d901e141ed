"""Replaces a module's own code by compiled code."""

from __future__ import annotations

import functools
from typing import Any

import torch

from spaces.aoti.compiled_weights import KeptWeights
from spaces.aoti.model import CompiledModel, Eager, LazyModel
from spaces.aoti.weights import Weights, let_go


def apply(compiled: CompiledModel, module: torch.nn.Module, method: str) -> None:
    """See `spaces.aoti_apply`."""
    own = _own(module, method)
    match compiled.weights:
        case KeptWeights() as kept if not kept.are_those_of(module):
            kept.read_ahead()
            let_go(module)
            setattr(module, method, _in_place_of(own, compiled, eager=None))
        case None | KeptWeights():
            bound = compiled.with_weights(Weights.of_module(module))
            setattr(module, method, _in_place_of(own, bound, eager=own))
        case _:
            setattr(module, method, _in_place_of(own, compiled, eager=own))


def patch(module: torch.nn.Module, model: LazyModel, method: str) -> None:
    """See `spaces.aoti_patch`."""
    apply(model.with_weights(Weights.of_module(module)), module, method)


def _own(module: torch.nn.Module, method: str) -> Eager:
    """The module's own code, even if it has been replaced before."""
    there: Eager = getattr(module, method)
    return getattr(there, "own", there)


def _in_place_of(own: Eager, compiled: CompiledModel, eager: Eager | None) -> Eager:
    """A function with the signature of the module's own, which `torch.export` and pipelines inspect."""

    @functools.wraps(own)
    def call(*args: Any, **kwargs: Any) -> Any:  # Any: the module's own arguments
        return compiled.run(eager, args, kwargs)

    call.own = own  # type: ignore[attr-defined] # read by `_own`
    return call
