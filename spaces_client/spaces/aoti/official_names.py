"""The classes of ahead-of-time compilation, under the names that Spaces import from the official package's modules."""

from __future__ import annotations

from spaces.aoti.compiling import OVERRIDES as INDUCTOR_CONFIGS_OVERRIDES
from spaces.aoti.model import CompiledModel as ZeroGPUCompiledModel
from spaces.aoti.model import LazyModel as LazyAOTIModel
from spaces.aoti.weights import Weights as ZeroGPUWeights
from spaces.aoti.weights import let_go as drain_module_parameters

__all__ = [
    "INDUCTOR_CONFIGS_OVERRIDES",
    "LazyAOTIModel",
    "ZeroGPUCompiledModel",
    "ZeroGPUWeights",
    "drain_module_parameters",
]
