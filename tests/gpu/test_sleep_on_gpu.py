"""Sleep on a real GPU: the same models as on a stand-in, the trial of `zerofarm doctor --gpu`, and what must not move.

No GPU has seen these tests yet. All of them take a few minutes; `benchmarks/sleep.py` then measures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from spaces_workers.child.sleep.gpu_card import CudaDriver, GpuCard
from spaces_workers.child.sleep.sleeper import CannotSleep, Sleeper
from spaces_workers.doctor.sleep_trials import try_on
from spaces_workers.gpu.devices import Device
from tests.unit.sleeping_models import Machine


class OnGpu(Machine):
    """On the card of a GPU, which other tensors of this process share."""

    device = "cuda"

    def make_sleeper(self, folder: Path) -> Sleeper:
        return Sleeper(GpuCard(), CudaDriver())

    def put(self, tensors: list[Any]) -> None:
        pass  # they were made there

    def check_account(self, held_bytes: int) -> None:
        assert torch.cuda.memory_allocated() >= held_bytes


@pytest.fixture
def sleeper(device: Device) -> Sleeper:
    return Sleeper(GpuCard(), CudaDriver())


@pytest.mark.usefixtures("device")
def test_models_are_what_they_were_after_waking() -> None:
    run_state_machine_as_test(OnGpu, settings=settings(max_examples=30, stateful_step_count=20))


def test_the_trial_passes(device: Device, tmp_path: Path) -> None:
    assert try_on(device, tmp_path).status == "ok"


def test_the_memory_of_sleepers_is_free_for_others(sleeper: Sleeper) -> None:
    weights = torch.randn(1 << 28, device="cuda")
    before = torch.cuda.mem_get_info()[0]
    sleeper.sleep(pinned=True)
    assert torch.cuda.mem_get_info()[0] - before >= 0.95 * (1 << 30)
    assert sleeper.pinned_bytes >= 1 << 30
    sleeper.wake(keep=False)
    assert weights.numel() == 1 << 28


def test_a_process_with_a_graph_stays_awake(sleeper: Sleeper) -> None:
    numbers = torch.zeros(10, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        numbers += 1
    with pytest.raises(CannotSleep, match="CUDA graph"):
        sleeper.sleep(pinned=True)


def test_memory_that_another_library_knows_stays(sleeper: Sleeper) -> None:
    numbers = torch.arange(1 << 20, device="cuda")
    known = torch.from_dlpack(numbers.__dlpack__())
    sleeper.sleep(pinned=True)
    assert int(known.sum()) == int(torch.arange(1 << 20).sum())
    sleeper.wake(keep=False)
