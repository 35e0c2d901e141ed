"""The record that the sleep of children works on a GPU: `zerofarm doctor --gpu` writes it, and workers read it.

It holds for one driver and one version of the farm, and is a file of the state directory.
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

from spaces_workers.gpu import devices
from spaces_workers.gpu.devices import Device


def note_passed(device: Device, state_dir: Path) -> None:
    """Record that sleep works on a GPU with its present driver and this version."""
    file = _file(device, state_dir)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_text(json.dumps(_setup()))


def has_passed(device: Device, state_dir: Path) -> bool:
    """Whether that was recorded, and driver and version are the same still."""
    try:
        return bool(json.loads(_file(device, state_dir).read_text()) == _setup())
    except (OSError, ValueError):
        return False


def _file(device: Device, state_dir: Path) -> Path:
    return state_dir / "gpu-checks" / f"{device.uuid}.json"


def _setup() -> dict[str, object]:
    return {"driver": devices.driver_version(), "zerofarm": importlib.metadata.version("zerofarm")}
