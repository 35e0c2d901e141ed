import os

import spaces
import torch
import triton
import triton.language as tl


@triton.autotune(configs=[triton.Config({}, num_warps=4), triton.Config({}, num_warps=8)], key=["size"])
@triton.jit
def double(values, size, block: tl.constexpr):
    place = tl.program_id(0) * block + tl.arange(0, block)
    tl.store(values + place, tl.load(values + place, mask=place < size) * 2, mask=place < size)


def compute():
    """The GPU's name is known; without a GPU a launch is refused with this script's line."""
    target = triton.runtime.driver.active.get_current_target()
    try:
        double[(1,)](torch.ones(8, device="cuda"), 8, block=8)
        launched = "launched"
    except RuntimeError as error:
        launched = f"{type(error).__name__} {__file__ in str(error)}"
    return target.backend, target.warp_size, launched


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
