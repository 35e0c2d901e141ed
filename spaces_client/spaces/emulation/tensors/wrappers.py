"""Classes of tensors with their own `__torch_dispatch__`; most wrap other tensors and have no memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # classes of tensors are not typed here

import torch
from torch._ops import OpOverload, OpOverloadPacket

_NO_DISPATCH = torch.Tensor.__torch_dispatch__


def dispatches(kind: Any) -> bool:
    """Whether a class of tensors has its own dispatch, and is not one that torch traces with."""
    return kind.__torch_dispatch__ is not _NO_DISPATCH and not kind.__module__.startswith("torch._subclasses")


def is_called_with_one(function: object, operands: Iterable[object]) -> bool:
    """Whether a function passes its arguments unchanged to an operand with its own dispatch."""
    if not isinstance(function, (OpOverload, OpOverloadPacket)):
        return False
    return any(isinstance(each, torch.Tensor) and dispatches(type(each)) for each in operands)
