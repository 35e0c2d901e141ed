"""What this process can compile for, and whether it should: on a GPU, on a CPU stand-in, or with no device at all."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from spaces import config, emulation
from spaces.config import Role


def emulated() -> bool:
    """Whether CUDA is only emulated in this process."""
    return emulation._device is not None


def may_compile() -> bool:
    """Whether this is the place to compile: a GPU, or a task on a CPU stand-in.

    A Space's script runs in the main thread of the web process and of the zygote, which have no device; a task
    never runs in the main thread of its child.
    """
    if not emulated():
        return True
    return config.current().role is Role.WORKER and threading.current_thread() is not threading.main_thread()


def device_for(kind: str) -> str:
    """The device at hand for a program that was made for `kind`: "cuda", or "cpu" where cuda is emulated."""
    return "cpu" if emulated() else kind


def capability(device: str) -> str:
    """The kind of machine code that `device` runs, as part of a cache's key."""
    if device == "cuda":
        return f"{torch.version.hip or torch.version.cuda} {torch.cuda.get_device_capability()}"
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


@contextmanager
def without_emulation() -> Iterator[None]:
    """Within this, tensors of this thread answer as the CPU tensors that they are: compilers must know."""
    if not emulated():
        yield
        return
    from spaces.emulation.dispatch import mode

    mode.leave_thread()
    try:
        yield
    finally:
        mode.current()
