"""Copies and pickles of tensors, for which torch's own Python code copies and describes what hangs on a tensor."""

from __future__ import annotations

import copy
from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch.mode import Emulation, reentered
from spaces.emulation.dispatch.registration import Function, handles
from spaces.emulation.errors import weights_are_gone
from spaces.emulation.tensors.marks import DROPPED, mark_result, place
from spaces.emulation.tensors.wrappers import dispatches

Tensor = torch.Tensor


def install() -> None:
    handles(Tensor.__deepcopy__)(_deepcopy)
    handles(Tensor.__reduce_ex__)(_reduce)


def _deepcopy(mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Torch finds the copies of a tensor's attributes in the memo, where they are put with the mode in force."""
    tensor, memo = args
    if place(tensor) == DROPPED:
        raise weights_are_gone("copy.deepcopy()")
    if vars(tensor) and id(tensor) not in mode.copying:
        mode.copying.add(id(tensor))
        try:
            with reentered():
                copy.deepcopy(vars(tensor), memo)
        finally:
            mode.copying.discard(id(tensor))
    result = func(tensor, memo, **kwargs)
    if place(tensor):
        mark_result(result)
    return result


def _reduce(_mode: Emulation, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A wrapper writes down its device, which is read with the mode in force."""
    tensor, protocol = args
    if place(tensor) == DROPPED:
        raise weights_are_gone("pickle")
    if not dispatches(type(tensor)):
        return func(tensor, protocol, **kwargs)
    with reentered():
        rebuild, described = tensor._reduce_ex_internal(protocol)
    return torch._tensor._rebuild_from_type_v2, (rebuild, type(tensor), described, torch._utils._get_obj_state(tensor))
