"""The child's side on a real GPU: objects that were emulated in the parent are real after the fork."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.unit.emulation_process import Case, has_torch, outcomes

CASES: list[Case] = []

has_gpu = has_torch and "+cpu" not in version("torch") and Path("/proc/driver/nvidia/version").exists()


def case(function: Case) -> Case:
    CASES.append(function)
    return function


@case
def weights_views_and_generators_are_on_the_gpu() -> None:
    import torch

    from spaces import emulation

    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)).to("cuda")
    model[1].weight = model[0].weight
    before, row = model[0].weight.cpu(), model[0].weight.data[1]
    generator = torch.Generator("cuda").manual_seed(5)
    emulation.leave("cuda:0")
    assert model[1].weight is model[0].weight
    assert model[0].weight.is_cuda
    assert torch.equal(model[0].weight.cpu(), before)
    assert row.untyped_storage().data_ptr() == model[0].weight.untyped_storage().data_ptr()
    assert model(torch.ones(1, 4, device="cuda")).is_cuda
    expected = torch.randn(3, generator=torch.Generator("cuda").manual_seed(5), device="cuda")
    assert torch.equal(torch.randn(3, generator=generator, device="cuda"), expected)
    assert torch.cuda.memory_allocated() > 0


@case
def copied_names_make_real_streams_and_graphs() -> None:
    import torch
    from torch.cuda import CUDAGraph, Event, Stream, is_available

    from spaces import emulation

    emulation.leave("cuda:0")
    assert is_available()
    start, end = Event(enable_timing=True), Event(enable_timing=True)
    with torch.cuda.stream(Stream()):
        start.record()
        torch.ones(8, device="cuda")
        end.record()
    end.synchronize()
    assert start.elapsed_time(end) >= 0
    assert isinstance(CUDAGraph(), torch.cuda.CUDAGraph)


@pytest.fixture(scope="module")
def outcome() -> dict[str, str]:
    return outcomes(__name__)


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu, reason="needs an NVIDIA GPU and a torch built for it")
@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_in_a_child_with_a_gpu(name: str, outcome: dict[str, str]) -> None:
    assert outcome[name] == ""
