"""Operators that libraries register in Python: an implementation for every device sees CUDA, as it does on a GPU.

One for the CPU sees the CPU, because it may pass pointers to native code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch.mode import reentered
from spaces.emulation.patching.patches import Patches

FOR_EVERY_DEVICE = ("CompositeImplicitAutograd", "CompositeExplicitAutograd", "")


def install(patches: Patches) -> None:
    original = torch.library.Library.impl

    def implement(self: Any, op_name: Any, fn: Any, dispatch_key: str = "", **options: Any) -> Any:
        key = dispatch_key or self.dispatch_key
        if key in FOR_EVERY_DEVICE and fn is not torch.library.fallthrough_kernel and callable(fn):
            fn = _seeing_cuda(fn)
        return original(self, op_name, fn, dispatch_key, **options)

    patches.function(torch.library.Library, "impl", implement)


def _seeing_cuda(implementation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(implementation)
    def call(*args: Any, **kwargs: Any) -> Any:
        with reentered():
            return implementation(*args, **kwargs)

    return call
