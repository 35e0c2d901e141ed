"""How soon does a Space compute whose weights are in the host's memory? `python -m benchmarks.swap [GB]`

A call that finds its child warm, and one whose child has been killed. On a GPU also the time that the bus alone needs
for so many bytes, and a fresh process that loads the same weights from a file in memory; the ratios are the result.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import psutil

import spaces
from spaces_workers.gpu import devices
from tests.harness import farm

T = TypeVar("T")

ROUNDS = 5
TENSORS = 140  #: for each GB, about as many as a diffusion pipeline has

SPACE = """
import os
import spaces, torch

weights = [torch.ones({elements}, dtype=torch.bfloat16).to("cuda") for _ in range({count})]

@spaces.GPU
def touch():
    square = weights[0][:1 << 20].view(1024, 1024)
    return os.getpid(), float((square @ square).sum()), float(torch.stack([each[-1] for each in weights]).sum())
"""

#: What a process without a farm does: import, read (the file is in memory), move, compute.
FRESH = """
import sys, torch
from safetensors.torch import load_file
weights = [each.to("cuda") for each in load_file(sys.argv[1]).values()]
square = weights[0][:1 << 20].view(1024, 1024)
float((square @ square).sum()), float(torch.stack([each[-1] for each in weights]).sum())
"""

#: The bus alone: the same bytes from pinned memory.
BUS = """
import time, torch
host = torch.empty(1 << 30, dtype=torch.uint8, pin_memory=True)
there = torch.empty_like(host, device="cuda")
there.copy_(host); torch.cuda.synchronize(); begun = time.perf_counter()
for _ in range(8): there.copy_(host, non_blocking=True)
torch.cuda.synchronize(); print(8 * (1 << 30) / (time.perf_counter() - begun))
"""


def main(gigabytes: float) -> None:
    """One line for each way."""
    gpus = devices.discover()
    count, elements = int(TENSORS * gigabytes), int(1e9 / TENSORS / 2)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, farm(Path(folder)) as made:
        script = Path(folder, "weights", "app.py")
        script.parent.mkdir()
        script.write_text(SPACE.format(elements=elements, count=count))
        made.register("weights", script)
        made.start_worker(gpu=gpus[0].uuid if gpus else "none")
        with made.client("weights", near=True) as client:
            made_again = _calls(client, f"{gpus[0].name if gpus else 'stand-in'}, {gigabytes:g} GB")
        if gpus:
            _peers(Path(folder), count, elements, gigabytes, made_again)


def _calls(client: spaces.Farm, where: str) -> float:
    """Seconds of a call whose child has been killed."""

    def touch() -> int:
        return int(client.submit("weights", "touch").result()[0])

    pid = touch()
    warm = [_timed(touch)[0] for _ in range(ROUNDS)]
    killed = []
    for _ in range(ROUNDS):
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
        seconds, pid = _timed(touch)
        killed.append(seconds)
    print(f"{where}: warm child {median(warm) * 1e3:.1f} ms, after a kill {median(killed) * 1e3:.0f} ms")
    return median(killed)


def _peers(folder: Path, count: int, elements: int, gigabytes: float, made_again: float) -> None:
    rate = float(subprocess.run([sys.executable, "-c", BUS], capture_output=True, text=True, check=True).stdout)
    bus = gigabytes * 1e9 / rate
    print(f"  the bus alone {bus * 1e3:.0f} ms ({rate / 1e9:.1f} GB/s), ratio {made_again / bus:.1f}")
    file = folder / "weights.safetensors"
    write = f"""
import torch; from safetensors.torch import save_file
save_file({{str(n): torch.ones({elements}, dtype=torch.bfloat16) for n in range({count})}}, {str(file)!r})"""
    subprocess.run([sys.executable, "-c", write], check=True)
    fresh = [_timed(lambda: subprocess.run([sys.executable, "-c", FRESH, str(file)], check=True))[0] for _ in range(2)]
    print(f"  a fresh process {median(fresh) * 1e3:.0f} ms, ratio {made_again / median(fresh):.2f}")


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    value = call()
    return time.perf_counter() - started, value


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
