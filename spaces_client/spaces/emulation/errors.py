"""The error of a call that needs a real GPU, and the search for the user's line that made it."""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from types import FrameType

from spaces.errors import SpacesError


class EmulationError(SpacesError, RuntimeError):
    """A call needs a GPU, or weights, in a process without them; the message has the line and the remedy."""


def needs_gpu(what: str) -> EmulationError:
    """The error of a call that emulation cannot answer, e.g. `needs_gpu("torch.cuda.CUDAGraph")`."""
    return EmulationError(
        f"{what} needs a real GPU, and this process has none ({users_line()}): outside @spaces.GPU functions "
        "CUDA is only emulated. Move it inside the @spaces.GPU function"
    )


def weights_are_gone(what: str) -> EmulationError:
    """The error of reading a tensor whose memory `drop_weights` has freed."""
    return EmulationError(
        f"{what} reads the values of a CUDA tensor ({users_line()}), but after launch weights live only in GPU "
        "workers. Move it inside the @spaces.GPU function, or keep a copy made with .cpu() at module level"
    )


def users_line() -> str:
    """`file:line` of the innermost frame of the user's own code, else of an installed library; never of torch or of
    this package."""
    frame: FrameType | None = sys._getframe(1)
    library: str | None = None
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(("<frozen", _own_folder(), *_torch_folder())):
            line = f"{path}:{frame.f_lineno}"
            if not path.startswith(_library_folders()):
                return line
            library = library or line
        frame = frame.f_back
    return library or "unknown line"


@functools.cache
def _own_folder() -> str:
    return os.path.dirname(os.path.abspath(__file__)) + os.sep


def _torch_folder() -> tuple[str, ...]:
    torch = sys.modules.get("torch")
    path = getattr(torch, "__file__", None)
    return (os.path.dirname(path) + os.sep,) if path else ()


@functools.cache
def _library_folders() -> tuple[str, ...]:
    named = [sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple({path + os.sep for path in [*named, *site.getsitepackages(), site.getusersitepackages()]})
