import json
import os
import tempfile
from pathlib import Path

import spaces
import torch
from kernels import get_local_kernel


def kernel():
    """One kernel, built for the CPU and for CUDA."""
    folder = Path(tempfile.mkdtemp())
    for backend in ("cpu", "cuda"):
        built = folder / "build" / f"torch-{backend}"
        (built / "twice").mkdir(parents=True)
        for init in (built / "__init__.py", built / "twice" / "__init__.py"):
            init.write_text(f"BUILT_FOR = {backend!r}\n\n\ndef twice(values):\n    return values * 2\n")
        facts = {"id": "zerofarm/twice", "name": "twice", "version": 1, "license": "Apache-2.0", "python-depends": []}
        (built / "metadata.json").write_text(json.dumps({**facts, "backend": {"type": backend}}))
    return get_local_kernel(folder)


KERNEL = kernel()


def compute():
    return KERNEL.BUILT_FOR, KERNEL.twice(torch.ones(2, device="cuda")).device.type


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
