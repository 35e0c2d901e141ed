"""Places the caches of compilers in the farm's state directory, so that compiled code outlives its child process."""

from __future__ import annotations

from pathlib import Path

from spaces.aoti import cache


def of_compilers(farm_state: Path) -> dict[str, str]:
    """The variables that place the caches of `torch.compile`, Triton and `spaces.aoti` in the farm's state directory.

    They are defaults: the operator's own values win.
    """
    compiled = farm_state / "compiled"
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(compiled / "inductor"),
        "TRITON_CACHE_DIR": str(compiled / "triton"),
        cache.FOLDER: str(compiled),
    }
