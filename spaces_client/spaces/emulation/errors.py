"""The errors of calls that only a real GPU can answer; each names the line of the Space that made the call."""

from __future__ import annotations

from spaces.errors import SpacesError
from spaces.space_line import space_line


class EmulationError(SpacesError, RuntimeError):
    """A call reached for a GPU, or for weights, in a process that has none; the message has line and remedy."""


class NoKernelError(EmulationError, NotImplementedError):
    """An operation of a tensor on emulated cuda that torch has for the GPU alone."""


_stays = False


def stay() -> None:
    """Called in a child without a GPU: functions run here, and CUDA stays emulated."""
    global _stays
    _stays = True


def needs_gpu(what: str, kind: type[EmulationError] = EmulationError) -> EmulationError:
    """The error of a call that emulation cannot answer, e.g. `needs_gpu("torch.cuda.CUDAGraph")`."""
    if _stays:
        return kind(
            f"{what} needs a real GPU, and this worker has none ({space_line()}): CUDA is emulated on its CPU. "
            "Run the Space on a farm with GPUs"
        )
    return kind(
        f"{what} needs a real GPU, and this process has none ({space_line()}): outside @spaces.GPU functions "
        "CUDA is only emulated. Move it inside the @spaces.GPU function"
    )


def weights_are_gone(what: str) -> EmulationError:
    """The error of reading a tensor whose memory `drop_weights` has freed."""
    return EmulationError(
        f"{what} reads the values of a CUDA tensor ({space_line()}), but after launch weights live only in GPU "
        "workers. Move it inside the @spaces.GPU function, or keep a copy made with .cpu() at module level"
    )
