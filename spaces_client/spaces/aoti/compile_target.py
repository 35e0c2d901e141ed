"""The device that this process can compile for: a GPU, a CPU stand-in, or none."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from spaces import emulation, role
from spaces.role import Role


def emulated() -> bool:
    """Whether CUDA is only emulated in this process."""
    return emulation._device is not None


def may_compile() -> bool:
    """Whether this process may compile: it has a GPU, or runs a task on a CPU stand-in.

    A Space's script runs in the main thread of the web process and of the zygote, which have no device; a task
    never runs in the main thread of its child.
    """
    if not emulated():
        return True
    return role.current() is Role.WORKER and threading.current_thread() is not threading.main_thread()


def device_for(kind: str) -> str:
    """The device of this process for a program that was made for `kind`: "cuda", or "cpu" if cuda is emulated."""
    return "cpu" if emulated() else kind


def capability(device: str) -> str:
    """The kind of machine code that `device` runs; part of the cache's key."""
    if device == "cuda":
        return f"{torch.version.hip or torch.version.cuda} {torch.cuda.get_device_capability()}"
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


@contextmanager
def without_emulation() -> Iterator[None]:
    """Within this, tensors of this thread report that they are on the CPU, as they are: compilers need the truth."""
    if not emulated():
        yield
        return
    from spaces.emulation.dispatch import mode

    mode.leave_thread()
    try:
        yield
    finally:
        mode.current()
