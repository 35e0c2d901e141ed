"""A `TorchDispatchMode` of a Space or a library sees CUDA; those of torch itself trace, and must not."""

from __future__ import annotations

import functools
from typing import Any  # torch is not typed here

from torch.utils._python_dispatch import TorchDispatchMode

from spaces.emulation.dispatch.mode import reentered
from spaces.emulation.patching.patches import Patches

_SEEING = "sees_emulated_cuda"


def install(patches: Patches) -> None:
    original = TorchDispatchMode.__enter__

    def enter(self: Any) -> Any:
        owner = next(each for each in type(self).__mro__ if "__torch_dispatch__" in vars(each))
        dispatch = vars(owner)["__torch_dispatch__"]
        if not owner.__module__.startswith("torch.") and not hasattr(dispatch, _SEEING):
            patches.value(owner, "__torch_dispatch__", _seeing_cuda(dispatch))
        return original(self)

    patches.function(TorchDispatchMode, "__enter__", enter)


def _seeing_cuda(dispatch: Any) -> Any:
    @functools.wraps(dispatch)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with reentered():
            return dispatch(self, *args, **kwargs)

    setattr(call, _SEEING, True)
    return call
