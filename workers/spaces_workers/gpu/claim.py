"""A worker's claim on one GPU of its host, so that starting N workers pins N different GPUs.

A claim is a lock on a file in the host's run directory. The kernel releases it when the process ends, however that
happens, so no claim needs cleaning up or can be stale. Containers that share the run directory share the claims.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from spaces_workers.gpu.devices import Device, GpuError


@dataclass
class Claim:
    """One device, or one equal share of a device, that belongs to this worker alone on this host."""

    device: Device
    share: int
    shares: int
    lock: int

    @property
    def memory_fraction(self) -> float:
        """The share of the device's memory that this worker may use, from 0 to 1."""
        return 1 / self.shares

    def name(self, worker: str) -> None:
        """Write down which worker holds it, for `workers_here`."""
        os.lseek(self.lock, 0, os.SEEK_SET)
        os.ftruncate(self.lock, 0)
        os.write(self.lock, f"{worker}, {_holder()}".encode())

    def release(self) -> None:
        """Release the device before the process ends; may be called again."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def claim(devices: Sequence[Device], run_dir: Path, shares: int = 1) -> Claim:
    """Claim the first free device of `devices`; with `shares` above 1, each device is taken once before any twice.

    All workers of a host must use the same `run_dir` and the same `shares`. Raises `GpuError` if all are taken; the
    message names them and their holders.
    """
    if shares < 1:
        raise GpuError(f"a GPU is shared by at least 1 worker, got {shares}")
    if not devices:
        raise GpuError("there is no GPU to claim; start CPU stand-ins by --gpus none")
    directory = run_dir / "gpus"
    directory.mkdir(parents=True, exist_ok=True)
    for share in range(shares):
        for device in devices:
            lock = _locked(_lock_path(directory, device, share))
            if lock is not None:
                return Claim(device, share, shares, lock)
    raise GpuError(_all_taken(devices, directory, shares))


def workers_here(run_dir: Path) -> dict[str, int]:
    """The workers on this machine, or in this container, that hold a claim: the name of each, and its process."""
    pattern = re.compile(rf"(.+), process (\d+) on {re.escape(socket.gethostname())}")
    claims = {path: pattern.fullmatch(path.read_text()) for path in sorted((run_dir / "gpus").glob("*.lock"))}
    return {found[1]: int(found[2]) for path, found in claims.items() if found and _has_open(int(found[2]), path)}


def _has_open(pid: int, path: Path) -> bool:
    """Asked of the process, not of the lock: a worker that starts while we try the lock would find it taken."""
    try:
        return any(each.resolve() == path.resolve() for each in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _locked(path: Path) -> int | None:
    """Lock the file and write the holder into it; the file descriptor closes at exec, so that no child keeps it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    os.ftruncate(lock, 0)
    os.write(lock, _holder().encode())
    return lock


def _holder() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _lock_path(directory: Path, device: Device, share: int) -> Path:
    return directory / f"{device.uuid}.{share}.lock"


def _all_taken(devices: Sequence[Device], directory: Path, shares: int) -> str:
    holders = [
        f"{device.index} ({device.name}, {device.uuid}) by "
        + " and ".join(_lock_path(directory, device, share).read_text() for share in range(shares))
        for device in devices
    ]
    return (
        f"every GPU that this worker may use is taken: {'; '.join(holders)}. Start fewer workers, name more GPUs in "
        f"--gpus, or let more workers share one by --workers-per-gpu"
    )
