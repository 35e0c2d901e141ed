"""TorchScript: its code runs in C++ and bypasses every mode, so devices are converted at its calls."""

from __future__ import annotations

from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch.mode import names_cuda
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import highest, mark_result


def install(patches: Patches) -> None:
    call = torch.jit.ScriptModule.__call__

    def call_and_mark(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = call(self, *args, **kwargs)
        if highest(args) or highest(kwargs.values()):
            mark_result(result, args)
        return result

    patches.function(torch.jit.ScriptModule, "__call__", call_and_mark)

    load = torch.jit.load

    def load_and_move(file: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        if names_cuda(map_location):
            return load(file, "cpu", *args, **kwargs).to("cuda")
        return load(file, map_location, *args, **kwargs)

    patches.function(torch.jit, "load", load_and_move)
