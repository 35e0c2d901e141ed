"""Ahead-of-time compilation under the official package's private name. Unlike `spaces` itself, this imports torch."""

from __future__ import annotations

from spaces.aoti import (
    aoti_apply,
    aoti_blocks_load,
    aoti_capture,
    aoti_compile,
    aoti_compile_and_save,
    aoti_load,
    aoti_load_call_source,
    aoti_load_from_package_dir,
    aoti_patch,
)
from spaces.aoti.compiling import PACKAGE as PACKAGE_FILENAME
from spaces.aoti.loading import FOLDER as PACKAGE_DIRNAME
from spaces.aoti.official_names import (
    INDUCTOR_CONFIGS_OVERRIDES,
    LazyAOTIModel,
    ZeroGPUCompiledModel,
    ZeroGPUWeights,
    drain_module_parameters,
)

__all__ = [
    "INDUCTOR_CONFIGS_OVERRIDES",
    "LazyAOTIModel",
    "PACKAGE_DIRNAME",
    "PACKAGE_FILENAME",
    "ZeroGPUCompiledModel",
    "ZeroGPUWeights",
    "aoti_apply",
    "aoti_blocks_load",
    "aoti_capture",
    "aoti_compile",
    "aoti_compile_and_save",
    "aoti_load",
    "aoti_load_call_source",
    "aoti_load_from_package_dir",
    "aoti_patch",
    "drain_module_parameters",
]
