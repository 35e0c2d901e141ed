"""A trial of sleep on the GPU of a process: `python -m spaces_workers.child.sleep.trial` exits with what is wrong.

It makes tensors of several kinds, lets them sleep four times with changes in between, also after they were saved, and
with copies that are shared, and compares every byte.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any  # torch is not typed here

from spaces_workers.child.sleep.gpu_card import CudaDriver, GpuCard
from spaces_workers.child.sleep.sleeper import Sleeper

#: Bytes of the largest tensor.
LARGE = 256 << 20

#: The part of the bytes that left the device by which its used memory must fall.
GIVEN_BACK = 0.9


def problem_with(
    sleeper: Sleeper, make: Callable[[Any], Any], used_bytes: Callable[[], int], large: int = LARGE
) -> str:
    """The fault in the sleep of tensors that `make` puts on the device; empty if there is none."""
    import torch

    whole = make(torch.arange(large, dtype=torch.int32).to(torch.uint8))
    parameter = torch.nn.Parameter(make(torch.randn(1000, 77)))
    tensors = [whole, whole[3:1000:7], parameter, parameter.detach().t(), make(torch.randn(12345).bfloat16())]
    for pinned, saves, shares in ((True, False, False), (False, True, False), (True, True, False), (True, False, True)):
        tensors[0].data[large // 2] += 1
        parameter.data *= 1.25
        expected = [tensor.detach().cpu().clone() for tensor in tensors]
        if saves:
            sleeper.save(pinned=pinned)
        before = used_bytes()
        sleeper.sleep(pinned=pinned, unchanged=saves)
        freed, left = before - used_bytes(), sleeper.left_bytes
        if freed < GIVEN_BACK * left or not left:
            return f"{left} bytes left the GPU, and its used memory fell by {freed}"
        if shares:
            _share(sleeper)
        sleeper.wake(keep=pinned)
        if not _are_equal(tensors, expected):
            return "a tensor has other bytes than before"
    return ""


def _share(sleeper: Sleeper) -> None:
    """Let the copies lie in memory that other processes could read, as far as the GPU can."""
    for part in sleeper.sharable:
        fd = sleeper.show(part.name)
        try:
            sleeper.share(part.name, fd)
        finally:
            os.close(fd)


def _are_equal(tensors: Sequence[Any], expected: Sequence[Any]) -> bool:
    import torch

    return all(torch.equal(now.detach().cpu(), then) for now, then in zip(tensors, expected, strict=True))


def main() -> None:
    """Try it on the GPU of this process. Exits with the problem in words."""
    import torch

    def used_bytes() -> int:
        free, total = torch.cuda.mem_get_info()
        return int(total - free)

    torch.zeros(1, device="cuda")
    sys.exit(problem_with(Sleeper(GpuCard(), CudaDriver()), lambda tensor: tensor.cuda(), used_bytes) or 0)


if __name__ == "__main__":
    main()
