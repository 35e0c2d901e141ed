"""Where torch's Python code has to take another way: moving modules, compiling, backward, default devices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any  # torch is not typed here

import torch
from torch.utils._device import DeviceContext

from spaces.emulation.dispatch.mode import current, paused, reentered
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import CPU_DEVICE, mark

Hook = Callable[[Any], Any]


def install(patches: Patches) -> None:
    _move_without_copies(patches)
    _see_user_code_in_backward(patches)
    _default_device(patches)
    _run_compiled_code_eagerly(patches)
    _attention_by_any_backend(patches)
    _export_for_the_cpu(patches)
    _one_device_is_no_parallelism(patches)


def _move_without_copies(patches: Patches) -> None:
    original = torch.nn.Module._apply

    def apply(self: Any, *args: Any, **kwargs: Any) -> Any:
        mode = current()
        mode.moving_modules += 1
        try:
            return original(self, *args, **kwargs)
        finally:
            mode.moving_modules -= 1

    patches.function(torch.nn.Module, "_apply", apply)


def _see_user_code_in_backward(patches: Patches) -> None:
    """`Tensor.backward` and `autograd.grad` come through the mode, which torch sets aside meanwhile; but hooks
    and custom functions that run inside them are the Space's code."""
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


def _default_device(patches: Patches) -> None:
    """`torch.set_default_device` puts its own mode *below* ours, so that mode itself has to be taught."""
    original = DeviceContext.__torch_function__
    constructors = torch.utils._device._device_constructors

    def dispatch(self: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.device.type != "cuda" or kwargs.get("device") is not None or func not in constructors():
            return original(self, func, types, args, kwargs)
        result = func(*args, **{**kwargs, "device": CPU_DEVICE})
        mark(result)
        return result

    patches.function(DeviceContext, "__torch_function__", dispatch)


def _run_compiled_code_eagerly(patches: Patches) -> None:
    """`torch.compile` makes what it always makes, but it is not compiled here: the child does that, on its GPU."""
    original = torch.compile

    def compile_later(*args: Any, **kwargs: Any) -> Any:
        compiled = original(*args, **kwargs)
        torch.compiler.set_stance("force_eager")
        return compiled

    patches.function(torch, "compile", compile_later)


def compile_again() -> None:
    """After leaving: compiled functions compile at their next call."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.set_stance("default")


def _attention_by_any_backend(patches: Patches) -> None:
    """Code that insists on a backend of the GPU gets the plain one, which gives the same result."""
    original = torch.nn.attention._sdpa_kernel

    def allow(backends: Any, *args: Any, **kwargs: Any) -> Any:
        return original([*backends, torch.nn.attention.SDPBackend.MATH], *args, **kwargs)

    patches.function(torch.nn.attention, "_sdpa_kernel", allow)


def _export_for_the_cpu(patches: Patches) -> None:
    """Tracing with fake tensors believes a device so far that C++ looks for its driver, and aborts."""
    for name in ("export", "export_for_training", "draft_export"):
        original = getattr(torch.export, name, None)
        if original is not None:
            patches.function(torch.export, name, _without_emulation(original))


def _without_emulation(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with paused():
            return original(*args, **kwargs)

    return run


def _one_device_is_no_parallelism(patches: Patches) -> None:
    def forward(self: Any, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)

    patches.function(torch.nn.DataParallel, "forward", forward)
