"""The rows of Flower's Pool tab: what a worker's pool says of its GPU, its tasks and its children."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spaces.farm.units import bytes_in_words
from spaces_workers.gpu.devices import Device
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.gpu_memory.sleepers import level_of
from spaces_workers.worker.gpu_memory.swap_costs import LEVELS
from spaces_workers.worker.run.runs import Runs


def pool_tab(device: Device, runs: Runs, idle: Sequence[ChildLink]) -> dict[str, Any]:
    """Each row by its name. Flower removes dashes from plain strings, so rows are lists. Any: texts and numbers."""
    return {
        "gpu": [device.description],
        "device": [device.visible_devices or "CPU"],
        "busy": runs.in_words(),
        "children": [_in_words(child) for child in {child.pid: child for child in (*runs.children(), *idle)}.values()],
        "processes": [child.pid for child in idle] + [child.pid for child in runs.children()],
        "done": runs.done,
    }


def _in_words(child: ChildLink) -> str:
    on_host = f", {bytes_in_words(child.host_bytes)} of the host" if child.host_bytes else ""
    memory = f"{LEVELS[level_of(child)]}, {bytes_in_words(child.memory.held_bytes)} of the device{on_host}"
    return f"{child.spec.space} (pid {child.pid}, {child.tasks_done} done, {memory})"
