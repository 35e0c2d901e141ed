"""`torch.autocast("cuda")` on CPU values: torch's own, plus a CPU autocast of the same dtype inside it.

The first keeps `torch.is_autocast_enabled()` and related functions correct; the second lets a half-precision layer take
a float input, as on the GPU.
"""

from __future__ import annotations

from typing import Any  # torch is not typed here

import torch

from spaces.emulation.patching.patches import Patches


def install(patches: Patches) -> None:
    autocast = torch.amp.autocast_mode.autocast
    enter, leave = autocast.__enter__, autocast.__exit__

    def enter_both(self: Any) -> Any:
        if self.device == "cuda":
            twin = torch.autocast(
                "cpu", dtype=_cpu_dtype(self.fast_dtype), enabled=self._enabled, cache_enabled=self._cache_enabled
            )
            self.__dict__.setdefault("_emulated_twins", []).append(twin)
            enter(twin)
        return enter(self)

    def leave_both(self: Any, *error: Any) -> Any:
        answer = leave(self, *error)
        twins = self.__dict__.get("_emulated_twins")
        if twins:
            leave(twins.pop(), *error)
        return answer

    patches.function(autocast, "__enter__", enter_both)
    # Not `function`: a context that was entered under the emulation must be left in the same way.
    patches.value(autocast, "__exit__", leave_both)


def _cpu_dtype(dtype: Any) -> Any:
    return dtype if dtype in (torch.float16, torch.bfloat16) else torch.bfloat16
