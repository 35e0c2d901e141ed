"""The classes of ahead-of-time compilation under the names that Spaces import from inside the official package."""

from __future__ import annotations

import torch

from spaces.aoti.compiling import OVERRIDES as INDUCTOR_CONFIGS_OVERRIDES
from spaces.aoti.model import CompiledModel as ZeroGPUCompiledModel
from spaces.aoti.model import LazyModel as LazyAOTIModel
from spaces.aoti.weights import Weights as ZeroGPUWeights

__all__ = [
    "INDUCTOR_CONFIGS_OVERRIDES",
    "LazyAOTIModel",
    "ZeroGPUCompiledModel",
    "ZeroGPUWeights",
    "drain_module_parameters",
]


def drain_module_parameters(_module: torch.nn.Module) -> None:
    """Nothing: compiled code works on the module's own parameters, so there is no second copy to free."""
