"""Tries on each GPU of this host whether Spaces can sleep there; `zerofarm doctor --gpu` calls this.

A GPU that passes is recorded, and then `[memory] sleep = "auto"` lets Spaces sleep on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from spaces_workers.doctor.finding import Finding
from spaces_workers.gpu import devices
from spaces_workers.gpu.devices import Device
from spaces_workers.gpu.sleep_record import note_passed

#: Seconds for a trial, most of them to import torch.
PATIENCE = 300.0

_REMEDY = "Spaces that make room on this GPU lose their process, as they always did. Report this if torch works on it"


def on_each_gpu(state_dir: Path) -> list[Finding]:
    """One finding for each GPU and slice, or one that there is none. Takes seconds for each."""
    try:
        found = devices.discover()
    except devices.GpuError as error:
        return [Finding("sleep", "problem", str(error), "Check that nvidia-smi works on this machine")]
    if not found:
        return [Finding("sleep", "warning", "no GPU to try it on: Spaces do not sleep on stand-ins by themselves")]
    return [try_on(device, state_dir) for device in found]


def try_on(device: Device, state_dir: Path) -> Finding:
    """Let a process with this GPU alone put tensors to sleep and compare them."""
    subject = f"sleep on GPU {device.index}"
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": device.visible_devices}
    command = [sys.executable, "-m", "spaces_workers.child.sleep.trial"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return Finding(subject, "warning", f"no answer within {PATIENCE:g} s", _REMEDY)
    if done.returncode:
        return Finding(subject, "warning", (done.stderr.strip().splitlines() or ["failed"])[-1], _REMEDY)
    note_passed(device, state_dir)
    return Finding(subject, "ok", "every byte came back; Spaces that make room on it sleep, from the next worker on")
