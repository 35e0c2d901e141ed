"""`torch.compile` and `torch.export`: C++ code and tracing must not see the emulated device."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any  # torch is not typed here

import torch

from spaces.emulation.dispatch.mode import paused
from spaces.emulation.patching.patches import Patches


def install(patches: Patches) -> None:
    _run_compiled_code_eagerly(patches)
    _export_for_the_cpu(patches)


def _run_compiled_code_eagerly(patches: Patches) -> None:
    """`torch.compile` returns its usual object, which compiles later, in the child, on its GPU."""
    original = torch.compile

    def compile_later(*args: Any, **kwargs: Any) -> Any:
        compiled = original(*args, **kwargs)
        torch.compiler.set_stance("force_eager")
        return compiled

    patches.function(torch, "compile", compile_later)


def compile_again() -> None:
    """After leaving the emulation: let compiled functions compile at their next call."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.set_stance("default")


def _export_for_the_cpu(patches: Patches) -> None:
    """Trace on the CPU: with a fake tensor on cuda C++ would search for the driver, and abort."""
    for name in ("export", "export_for_training", "draft_export"):
        original = getattr(torch.export, name, None)
        if original is not None:
            patches.function(torch.export, name, _without_emulation(original))


def _without_emulation(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with paused():
            return original(*args, **kwargs)

    return run
