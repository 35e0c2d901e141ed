"""`Tensor.backward` and `autograd.grad`: torch disables the mode while they run, but hooks and custom functions inside
them are the Space's code and must see CUDA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch.mode import reentered
from spaces.emulation.patching.patches import Patches

Hook = Callable[[Any], Any]


def install(patches: Patches) -> None:
    original = torch.autograd.graph._engine_run_backward

    def run(*args: Any, **kwargs: Any) -> Any:
        with reentered():
            return original(*args, **kwargs)

    for owner in (torch.autograd, torch.autograd.graph):
        patches.function(owner, "_engine_run_backward", run)

    saved = torch.autograd.graph.saved_tensors_hooks
    remember = saved.__init__

    def remember_hooks(self: Any, pack_hook: Hook, unpack_hook: Hook) -> None:
        remember(self, _seeing_cuda(pack_hook), _seeing_cuda(unpack_hook))

    patches.function(saved, "__init__", remember_hooks)


def _seeing_cuda(hook: Hook) -> Hook:
    def call(value: Any) -> Any:
        with reentered():
            return hook(value)

    return call
