"""Whether the host has the NVIDIA driver, found without starting it.

A library that computes by the driver alone cannot be emulated on the CPU. It is told the truth about the host, so that
a Space that can do without a GPU does so on a farm without GPUs.
"""

from __future__ import annotations

from pathlib import Path


def host_has_driver(*_args: object, **_options: object) -> bool:
    """True on a host with NVIDIA GPUs."""
    return Path("/proc/driver/nvidia/version").exists()
