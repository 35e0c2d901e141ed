"""Where compilers keep what they made for Spaces, so that it outlives the child that they ran in."""

from __future__ import annotations

from pathlib import Path

from spaces_workers.setup import state_dir


def of_compilers(farm_state: Path) -> dict[str, str]:
    """The variables that tell `torch.compile`, Triton and `spaces.aoti` to keep their caches with the farm's state.

    They are defaults: what the operator has set wins.
    """
    compiled = farm_state / "compiled"
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(compiled / "inductor"),
        "TRITON_CACHE_DIR": str(compiled / "triton"),
        state_dir.VARIABLE: str(farm_state),
    }
