"""The torch function mode that makes ordinary CPU tensors appear as CUDA tensors.

Torch passes every call to the mode first. A factory with `device="cuda"` runs on the CPU and its result is marked;
new results of an operation with a marked operand are marked; `handlers.py` handles all functions about devices.
Operands on "cuda" and on the CPU may be mixed, and the result is on "cuda": torch would refuse, but a mark can be
missing if C++ makes a tensor without Python, and code that works on a GPU must never fail here. An operation takes 3 to
5 µs longer than without the mode.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any  # torch is not typed here, and any call can pass through

import torch
from torch._C import _is_torch_function_enabled
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode

from spaces.emulation.errors import NoKernelError, needs_gpu, weights_are_gone
from spaces.emulation.tensors.marks import CPU, CPU_DEVICE, CUDA, DROPPED, highest, mark_result
from spaces.emulation.tensors.wrappers import is_called_with_one

Handler = Callable[["Emulation", Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

HANDLERS: dict[Callable[..., Any], Handler] = {}
"""The handlers of torch functions about devices; filled by `handlers.py`."""


class Emulation(TorchFunctionMode):  # type: ignore[misc]  # torch is untyped here
    """One for each thread, because each thread has its own stack of modes."""

    def __init__(self) -> None:
        super().__init__()
        self.moving_modules = 0
        self.reading_files = 0
        self.copying: set[int] = set()  #: ids of the tensors whose attributes are being copied

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: tuple[Any, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if types and types != (torch.Tensor,) and _is_torch_function_enabled():
            return _ask_operands(func, types, args, kwargs or {})
        handler = HANDLERS.get(func)
        if handler is not None:
            return handler(self, func, args, kwargs or {})
        if kwargs:
            if kwargs.get("device") is not None or "pin_memory" in kwargs:
                return _with_device(func, args, kwargs)
            where = max(highest(args), highest(kwargs.values()))
        else:
            kwargs = {}
            where = highest(args)
        if where == CPU:
            return func(*args, **kwargs)
        if where == DROPPED:
            raise weights_are_gone(getattr(func, "__name__", str(func)))
        try:
            result = func(*args, **kwargs)
        except NotImplementedError as error:
            if "'CPU' backend" in str(error):
                raise needs_gpu(getattr(func, "__name__", str(func)), NoKernelError) from error
            raise
        mark_result(result, args)
        return result


def names_cuda(device: object) -> bool:
    """Whether a value means cuda: 'cuda', 'cuda:1', a torch.device, an index."""
    if isinstance(device, torch.device):
        return bool(device.type == "cuda")
    if isinstance(device, str):
        return device.startswith("cuda")
    return isinstance(device, int) and not isinstance(device, bool)


def _ask_operands(
    func: Callable[..., Any], types: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call the `__torch_function__` of operands that have one, as torch does.

    Their code runs with the mode active, because on a GPU it would see CUDA. Calls that it passes on to torch return
    here with subclasses disabled.
    """
    for kind in types:
        with reentered():
            result = kind.__torch_function__(func, types, args, kwargs)
        if result is not NotImplemented:
            return result
    return func(*args, **kwargs)  # which raises torch's own error


def _with_device(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a call that names its device, which alone decides the device of the result."""
    device = kwargs.get("device")
    where = highest(args)
    if where == DROPPED and not func.__name__.endswith("_like"):
        raise weights_are_gone(func.__name__)
    kwargs = kwargs | ({"pin_memory": False} if "pin_memory" in kwargs else {})
    if is_called_with_one(func, args):
        return func(*args, **kwargs)
    if device is not None:
        where = CUDA if names_cuda(device) else CPU
        kwargs["device"] = CPU_DEVICE if where else device
    result = func(*args, **kwargs)
    if where:
        mark_result(result)
    return result


_in_force = False


class _ThisThread(threading.local):
    mode: Emulation | None = None
    tells_the_truth = False  #: whether the mode is paused on purpose


_this_thread = _ThisThread()


def current() -> Emulation:
    """The mode of this thread; entered now if the thread started before torch was imported."""
    _this_thread.tells_the_truth = False
    if _this_thread.mode is None:
        _this_thread.mode = Emulation()
        _push_mode(_this_thread.mode)
    return _this_thread.mode


def enter_process() -> None:
    """Enter this thread, and let `reentered` have an effect from now on."""
    global _in_force
    _in_force = True
    current()


def leave_process() -> None:
    """Leave this thread, the only one of a fork, and let `reentered` have no effect any more."""
    global _in_force
    _in_force = False
    leave_thread()


def leave_thread() -> None:
    """Remove the mode from this thread's stack, at any position."""
    _this_thread.mode = None
    _this_thread.tells_the_truth = True
    modes = [_pop_mode() for _ in _get_current_function_mode_stack()]
    for mode in reversed(modes):
        if not isinstance(mode, Emulation):
            _push_mode(mode)


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Within this, tensors of this thread report that they are on the CPU, as they are."""
    before, _this_thread.tells_the_truth = _this_thread.tells_the_truth, True
    modes = [_pop_mode() for _ in _get_current_function_mode_stack()]
    for mode in reversed(modes):
        if not isinstance(mode, Emulation):
            _push_mode(mode)
    try:
        yield
    finally:
        _this_thread.tells_the_truth = before
        for _ in _get_current_function_mode_stack():
            _pop_mode()
        for mode in reversed(modes):
            _push_mode(mode)


@contextlib.contextmanager
def reentered() -> Iterator[None]:
    """Within this, the mode is active, although torch has disabled it for a function that calls user code back."""
    stack = _get_current_function_mode_stack()
    if not _in_force or _this_thread.tells_the_truth or any(isinstance(mode, Emulation) for mode in stack):
        yield
        return
    with _this_thread.mode or Emulation():
        yield
