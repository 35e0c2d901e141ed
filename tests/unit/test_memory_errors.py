"""Errors of memory are told from others by class name and text, with the real classes of Python, NumPy and torch."""

from __future__ import annotations

import numpy
import pytest

from spaces.farm.memory_errors import lacks_gpu_memory, lacks_memory

CPU_TEXT = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to ..."


@pytest.mark.parametrize(
    ("type_name", "text", "anywhere", "of_gpu"),
    [
        ("MemoryError", "", True, False),
        ("numpy._core._exceptions._ArrayMemoryError", "Unable to allocate 4.00 PiB", True, False),
        ("RuntimeError", CPU_TEXT, True, False),
        ("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 20.00 GiB", True, True),
        ("torch.cuda.OutOfMemoryError", "", True, True),
        ("OutOfMemoryError", "", True, True),
        ("torch.AcceleratorError", "CUDA error: out of memory\nCUDA kernel errors might be ...", True, True),
        ("RuntimeError", "CUDA driver error: out of memory", True, True),
        ("RuntimeError", "CUDA error: an illegal memory access was encountered", False, False),
        ("__main__.Refusal", "CUDA out of memory is not what this is", False, False),
        ("RuntimeError", "", False, False),
    ],
)
def test_errors_of_memory_are_told_from_others(type_name: str, text: str, anywhere: bool, of_gpu: bool) -> None:
    assert lacks_memory(type_name, text) is anywhere
    assert lacks_gpu_memory(type_name, text) is of_gpu


def test_numpy_and_torch_still_raise_what_is_recognised() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(MemoryError) as of_numpy:
        numpy.zeros(1 << 52)
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(1 << 52)
    for caught in (of_numpy, of_torch):
        assert lacks_memory(caught.type.__name__, str(caught.value))
    assert lacks_gpu_memory(torch.OutOfMemoryError.__name__, "")
    assert issubclass(torch.OutOfMemoryError, RuntimeError)
