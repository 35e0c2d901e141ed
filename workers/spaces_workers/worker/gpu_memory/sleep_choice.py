"""Whether the children of a worker sleep, by `[memory] sleep` of `farm.toml` and the device, and in how much memory.

`auto` lets them sleep on a GPU on which `zerofarm doctor --gpu` has compared all bytes after a sleep, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spaces.farm.queue import settings
from spaces.farm.queue.rules import MemoryRules
from spaces_workers.gpu.devices import Device, DeviceReading
from spaces_workers.gpu.sleep_record import has_passed
from spaces_workers.gpu.standin_memory import StandInMemory
from spaces_workers.link.messages import StandIn
from spaces_workers.worker.gpu_memory import host_capacity
from spaces_workers.worker.gpu_memory.device_memory import DeviceMemory
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget

GB = 10**9


def budget_of(
    rules: MemoryRules, device: Device, state_dir: Path, left_by_others: Callable[[], float]
) -> HostMemoryBudget | None:
    """The host memory for sleepers; None if no child of this worker sleeps."""
    if rules.sleep == "off" or (rules.sleep == "auto" and not has_passed(device, state_dir)):
        return None
    half = host_capacity.capacity().total // 2
    host_bytes = int(min(half, rules.host_gb * GB))
    pinned_bytes = int(min(host_bytes, rules.pinned_gb * GB))
    return HostMemoryBudget(host_bytes, pinned_bytes, left_by_others=left_by_others)


def scope_of(space: str) -> str:
    """A name for those with whom a Space has one copy of the same bytes: the same name for all of them."""
    group = settings.of_space(space).group
    match settings.current().memory.share:
        case "farm":
            return ""
        case "group" if group:
            return f"group {group}"
        case _:
            return f"space {space}"


def stand_in_of(rules: MemoryRules, device: Device, run_dir: Path) -> StandIn | None:
    """The limits of a stand-in whose children sleep; None for all other devices."""
    if device.kind != "standin" or rules.sleep != "on":
        return None
    file = run_dir / f"{device.uuid}.memory"
    return StandIn(str(file), int(rules.stand_in_gb * GB), rules.stand_in_gb_per_second * GB)


def memory_of(device: Device, fraction: float, stand_in: StandIn | None) -> DeviceMemory:
    """The memory of a device, or of a stand-in with limits."""
    if stand_in is None:
        return DeviceMemory(device, fraction)
    account, size = StandInMemory(Path(stand_in.memory_file), stand_in.memory_bytes), stand_in.memory_bytes

    def reading(_: Device) -> DeviceReading:
        return DeviceReading(account.used_bytes, size, None, None)

    return DeviceMemory(replace(device, memory_bytes=size), fraction, reading, limited=True)
