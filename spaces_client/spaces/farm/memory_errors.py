"""Recognises errors that mean a lack of memory, by class name and text.

Names and texts, because an error is judged where its class is not: torch is not imported in workers, nor in most web
processes, and the end of a task has nothing else.
"""

from __future__ import annotations

#: For a full GPU: `torch.OutOfMemoryError`, `torch.cuda.OutOfMemoryError` before torch 2.5, and CuPy's.
_GPU_ERROR = "OutOfMemoryError"

#: Texts of a `RuntimeError`, or of its subclass `torch.AcceleratorError`, for which torch has no class.
_TORCH_ERRORS = ("RuntimeError", "AcceleratorError")
_GPU_TEXTS = ("CUDA out of memory", "CUDA error: out of memory", "CUDA driver error: out of memory")
_MACHINE_TEXTS = ("DefaultCPUAllocator: can't allocate memory",)


def lacks_memory(type_name: str, text: str) -> bool:
    """Whether an error of this class, qualified or not, with this text means that memory was short anywhere."""
    return lacks_gpu_memory(type_name, text) or _lacks_machine_memory(type_name, text)


def lacks_gpu_memory(type_name: str, text: str) -> bool:
    """Whether it was the memory of the GPU."""
    name = _own_name(type_name)
    return name == _GPU_ERROR or _has(name, text, _GPU_TEXTS)


def _lacks_machine_memory(type_name: str, text: str) -> bool:
    """Python's `MemoryError`, NumPy's `_ArrayMemoryError`, or torch's text."""
    name = _own_name(type_name)
    return name.endswith("MemoryError") or _has(name, text, _MACHINE_TEXTS)


def _has(name: str, text: str, texts: tuple[str, ...]) -> bool:
    return name in _TORCH_ERRORS and any(each in text for each in texts)


def _own_name(type_name: str) -> str:
    return type_name.rpartition(".")[2]
