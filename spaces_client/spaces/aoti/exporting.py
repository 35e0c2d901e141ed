"""`torch.export.export` while CUDA is emulated.

While torch traces it disables every mode, the emulation too: a module that passes `device="cuda"` would fail, and one
that reads `x.is_cuda` would see the CPU. Here the module sees everything on cuda, while torch traces it on the CPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any  # torch is not typed here

import torch
import torch.export
from torch.overrides import TorchFunctionMode

from spaces.aoti import compile_target
from spaces.aoti.capture import replaced

_CPU, _CUDA = torch.device("cpu"), torch.device("cuda", 0)

#: Properties of a tensor, with the values that the traced code sees.
_ANSWERS: dict[Callable[..., Any], Any] = {
    torch.Tensor.device.__get__: _CUDA,
    torch.Tensor.is_cuda.__get__: True,
    torch.Tensor.is_cpu.__get__: False,
}


def prepare() -> None:
    """Route later exports through this module while CUDA is emulated."""
    original = torch.export.export
    if not compile_target.emulated() or hasattr(original, "emulated"):
        return

    @functools.wraps(original)
    def export(mod: Any, *args: Any, **options: Any) -> Any:
        if not compile_target.emulated() or options.get("strict"):
            return original(mod, *args, **options)
        with replaced(mod, "forward", _in_one_world(mod.forward)):
            return original(mod, *args, **options)

    export.emulated = True  # type: ignore[attr-defined] # asked above
    torch.export.export = export


def _in_one_world(forward: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(forward)
    def traced(*args: Any, **kwargs: Any) -> Any:
        with OneWorld():
            return forward(*args, **kwargs)

    return traced


class OneWorld(TorchFunctionMode):  # type: ignore[misc] # torch is untyped here
    """Makes everything appear on cuda to the traced code."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _ANSWERS:
            return _ANSWERS[func]
        if func is torch.Tensor.cuda:
            func, args = torch.Tensor.to, (args[0], _CPU)
        return func(*map(_really, args), **{name: _really(value) for name, value in (kwargs or {}).items()})


def _really(value: Any) -> Any:
    """Replace a cuda device by the CPU; other values are returned unchanged."""
    if isinstance(value, torch.device):
        return _CPU if value.type == "cuda" else value
    return "cpu" if isinstance(value, str) and value.split(":")[0] == "cuda" else value
