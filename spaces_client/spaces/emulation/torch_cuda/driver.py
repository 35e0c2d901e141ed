"""Stops calls that bypass the emulation before C++ or Python starts the CUDA driver, and names their line."""

from __future__ import annotations

import torch

from spaces.emulation.patching.constant_functions import refuses, replace, says
from spaces.emulation.patching.patches import Patches


def install(patches: Patches) -> None:
    answers = {
        "_lazy_init": refuses("This call"),
        "_is_in_bad_fork": says(False),
        "cudart": refuses("torch.cuda.cudart()"),
        "current_blas_handle": refuses("torch.cuda.current_blas_handle()"),
    }
    replace(patches, answers, torch.cuda)
