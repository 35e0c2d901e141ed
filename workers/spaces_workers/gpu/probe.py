"""Asks the driver alone, without a Space or torch, whether a process can use a GPU.

A worker asks before its first claim, and again after a child could not use the GPU: the answer tells a fault of the
Space, such as a torch that does not fit the driver, from a fault of the GPU, which would fail the next Space too.
"""

from __future__ import annotations

import os
import subprocess
import sys

from spaces_workers.gpu.devices import Device

#: Seconds to wait for the driver; a card that has fallen off the bus may never answer.
PATIENCE = 30.0

#: `CUDA_ERROR_OUT_OF_MEMORY` of cuda.h: the card works, but other processes fill its memory.
OUT_OF_MEMORY = 2

_PROBE = f"""
import ctypes, sys
try:
    cuda = ctypes.CDLL("libcuda.so.1")
except OSError as error:
    sys.exit(f"the NVIDIA driver cannot be loaded: {{error}}")
device, context = ctypes.c_int(), ctypes.c_void_p()
for name, *arguments in (
    ("cuInit", 0),
    ("cuDeviceGet", ctypes.byref(device), 0),
    ("cuDevicePrimaryCtxRetain", ctypes.byref(context), device),
):
    status = getattr(cuda, name)(*arguments)
    if status not in (0, {OUT_OF_MEMORY}):
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(status, ctypes.byref(text))
        sys.exit(f"{{name}} says {{(text.value or b'?').decode()}} ({{status}})")
"""


def problem_of(device: Device) -> str:
    """Return why no process can use this device, in the driver's words; empty if one can. Takes 0.3 s."""
    if device.kind == "standin":
        return ""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": device.visible_devices}
    command = [sys.executable, "-I", "-c", _PROBE]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"the driver does not answer within {PATIENCE:g} s"
    return done.stderr.strip() if done.returncode else ""
