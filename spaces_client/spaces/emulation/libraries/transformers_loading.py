"""Loads the weights of transformers 5 without a copy: it reads each as a slice of a file and then moves it.

Earlier versions have no such function.
"""

from __future__ import annotations

from typing import Any  # transformers is not typed here

import torch

from spaces.emulation.dispatch.mode import current
from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, module: Any, _device: EmulatedDevice) -> None:
    original = getattr(module, "_materialize_copy", None)
    if original is None:
        return

    def materialize(source: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(source, torch.Tensor):  # not a slice of a file: somebody may still hold it
            return original(source, *args, **kwargs)
        mode = current()
        mode.reading_files += 1
        try:
            return original(source, *args, **kwargs)
        finally:
            mode.reading_files -= 1

    patches.function(module, "_materialize_copy", materialize)
