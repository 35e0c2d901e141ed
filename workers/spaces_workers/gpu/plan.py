"""Plans the workers of a host: their number, devices and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spaces_workers.gpu import claim as gpu_claim
from spaces_workers.gpu import devices
from spaces_workers.gpu.claim import Claim
from spaces_workers.gpu.devices import Device, GpuError

#: The most stand-ins, and so CPU workers, of one host.
STANDINS = 256

NO_GPU = "this machine has no GPU: the worker is a CPU stand-in, which runs every Space, but slowly"


@dataclass(frozen=True, slots=True)
class PlannedWorker:
    """One worker to be started."""

    name: str  #: of its node in Celery and Flower: `gpu0`
    gpus: str  #: the device that it claims: the UUID of its GPU, or `none`


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """The workers of a host, and a note for the operator."""

    workers: list[PlannedWorker]
    note: str = ""


def plan_workers(gpus: str, workers: int | None, shares: int) -> WorkerPlan:
    """Plan `shares` workers for each GPU that `gpus` selects, or the first `workers` of these if that is given.

    `none`, and `auto` on a host without GPUs, select stand-ins. Raises GpuError for GPUs that are not available.
    """
    wanted = _wanted(gpus)
    if not wanted:
        standins = [PlannedWorker(f"cpu{index}", "none") for index in range(workers or 1)]
        return WorkerPlan(standins, "" if gpus == "none" else NO_GPU)
    planned = [
        PlannedWorker(name_of(device, share, wanted), device.uuid) for share in range(shares) for device in wanted
    ]
    if workers is not None and workers > len(planned):
        raise GpuError(
            f"--workers {workers} is more than the {len(planned)} that --gpus {gpus} with --workers-per-gpu {shares} "
            f"makes. Name more GPUs, or raise --workers-per-gpu"
        )
    return WorkerPlan(planned[:workers])


def claim(gpus: str, shares: int, run_dir: Path) -> tuple[Claim, str]:
    """Claim a free device for a worker, and name the worker after it. Raises GpuError if all are taken."""
    wanted = _wanted(gpus)
    if wanted:
        claimed = gpu_claim.claim(wanted, run_dir, shares)
        return claimed, name_of(claimed.device, claimed.share, wanted)
    claimed = gpu_claim.claim([devices.standin(index) for index in range(STANDINS)], run_dir)
    return claimed, f"cpu{claimed.device.index}"


def name_of(device: Device, share: int, others: Sequence[Device]) -> str:
    """`gpu0`, its second slice `gpu0-mig1`, the second worker on either `gpu0-2`, `gpu0-mig1-2`."""
    slices = [each for each in others if each.index == device.index]
    mig = f"-mig{slices.index(device)}" if device.kind == "mig" else ""
    return f"gpu{device.index}{mig}" + (f"-{share + 1}" if share else "")


def _wanted(gpus: str) -> list[Device]:
    return [] if gpus == "none" else devices.parse_gpus(gpus, devices.discover())
