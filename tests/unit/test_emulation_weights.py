"""What becomes of the memory: dropped in the web process, moved into an arena in the zygote, not doubled by a move."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any  # torch is not typed here

import pytest

from tests.unit.emulation_process import Case, has_torch, outcomes

CASES: list[Case] = []
MB = 1_000_000


def case(function: Case) -> Case:
    CASES.append(function)
    return function


def resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def big_module(megabytes: int) -> Any:
    import torch

    layers = [torch.nn.Linear(2500, 1000, bias=False) for _ in range(megabytes // 10)]
    return torch.nn.Sequential(*layers)


def raised_by(act: Any) -> str:
    from spaces.emulation import EmulationError

    with pytest.raises(EmulationError) as raised:
        act()
    return str(raised.value)


@case
def dropping_500_mb_of_weights_frees_500_mb() -> None:
    from spaces import emulation

    before = resident_bytes()
    model = big_module(500).to("cuda")
    full = resident_bytes()
    assert full - before > 480 * MB
    emulation.drop_weights()
    assert full - resident_bytes() > 480 * MB
    assert len(list(model.parameters())) == 50


@case
def dropping_lets_go_of_mapped_files() -> None:
    import safetensors.torch

    from spaces import emulation

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "w.safetensors")
        safetensors.torch.save_file(big_module(50).state_dict(), path)
        weights = safetensors.torch.load_file(path, device="cuda")
        assert path in Path("/proc/self/maps").read_text()
        emulation.drop_weights()
        assert path not in Path("/proc/self/maps").read_text()
    assert weights["0.weight"].shape == (1000, 2500)


@case
def dropped_weights_still_describe_themselves() -> None:
    import torch

    from spaces import emulation

    model = torch.nn.Linear(3, 2).half().cuda()
    tied = model.weight.data.t()
    emulation.drop_weights()
    assert model.weight.shape == (2, 3)
    assert tied.shape == (3, 2)
    assert tied.stride() == (1, 3)
    assert str(model.weight.device) == "cuda:0"
    assert model.weight.is_cuda
    assert model.weight.dtype == torch.float16
    assert sum(parameter.numel() for parameter in model.parameters()) == 8
    assert set(model.state_dict()) == {"weight", "bias"}
    assert model.to("cuda") is model.cuda().eval().requires_grad_(False)
    assert "cuda:0" in repr(model.weight)
    assert "in_features=3" in repr(model)


@case
def reading_a_dropped_value_says_where_weights_live() -> None:
    import torch

    from spaces import emulation

    model, tensor = torch.nn.Linear(2, 2).cuda(), torch.ones(2, device="cuda")
    emulation.drop_weights()
    readings: list[Any] = [
        lambda: model(torch.ones(1, 2)),
        lambda: tensor + 1,
        lambda: tensor.sum(),
        lambda: tensor[0],
        lambda: tensor.cpu(),
        lambda: tensor.to("cpu"),
        lambda: tensor.half(),
        lambda: tensor.tolist(),
        lambda: tensor.numpy(),
        lambda: tensor.copy_(torch.ones(2)),
        lambda: torch.cat([torch.ones(2), tensor]),
        lambda: model.cpu(),
        lambda: torch.save(tensor, "/dev/null"),
    ]
    for reading in readings:
        message = raised_by(reading)
        assert "weights live only in GPU workers" in message
        assert "test_emulation_weights.py:" in message


@case
def cpu_tensors_survive_dropping() -> None:
    import torch

    from spaces import emulation

    cpu, kept = torch.ones(2), torch.ones(2, device="cuda").cpu()
    emulation.drop_weights()
    assert (cpu + kept).tolist() == [2.0, 2.0]
    assert torch.ones(2, device="cuda").sum().item() == 2


@case
def relocated_weights_keep_values_views_and_their_place() -> None:
    import torch

    from spaces.emulation.tensors import marks, weights

    model = torch.nn.Linear(4, 4).cuda()
    row, before = model.weight.data[2], model.weight.cpu()
    block = torch.zeros(4096, dtype=torch.uint8)
    starts: list[int] = []

    def pack(storages: list[Any]) -> list[Any]:
        packed, offset = [], 0
        for storage in storages:
            piece = block.untyped_storage()[offset : offset + storage.nbytes()]
            piece.copy_(storage)
            packed.append(piece)
            starts.append(offset)
            offset += 512
        return packed

    weights.relocate(pack, marks.tracked(), marks.CUDA)
    assert starts == [0, 512]
    assert torch.equal(model.weight.cpu(), before)
    assert model.weight.is_cuda
    assert row.is_cuda
    first, last = block.data_ptr(), block.data_ptr() + 4096
    assert first <= model.weight.data_ptr() < row.data_ptr() < last
    assert not block.is_cuda
    assert {id(tensor) for tensor in marks.tracked()} >= {id(model.weight), id(model.bias), id(row)}


@case
def moving_a_module_copies_nothing() -> None:
    model = big_module(20)
    addresses = [parameter.data_ptr() for parameter in model.parameters()]
    model.to("cuda")
    assert [parameter.data_ptr() for parameter in model.parameters()] == addresses
    model.to("cpu")
    assert [parameter.data_ptr() for parameter in model.parameters()] == addresses


@case
def moving_a_module_leaves_others_that_share_its_memory_where_they_are() -> None:
    import torch

    constant, model = torch.ones(2), torch.nn.Linear(2, 2)
    kept = model.weight.detach()
    model.register_buffer("constant", constant)
    model.cuda()
    assert not constant.is_cuda
    assert not kept.is_cuda
    assert model.weight.is_cuda
    assert model.constant.is_cuda


@case
def files_loaded_onto_cuda_stay_mapped() -> None:
    import safetensors.torch
    import torch

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "w.safetensors")
        safetensors.torch.save_file(big_module(100).state_dict(), path)
        before = resident_bytes()
        weights = safetensors.torch.load_file(path, device="cuda")
        assert all(weight.is_cuda for weight in weights.values())
        assert resident_bytes() - before < 20 * MB
        on_cpu = safetensors.torch.load_file(path)
        assert not any(weight.is_cuda for weight in on_cpu.values())
    assert isinstance(weights["0.weight"], torch.Tensor)


@case
def marks_end_with_their_memory() -> None:
    import torch

    from spaces import emulation

    for _ in range(200):
        torch.ones(64, device="cuda")
        assert not torch.ones(64).is_cuda
    assert emulation.tracked() == []


@pytest.fixture(scope="module")
def outcome() -> dict[str, str]:
    return outcomes(__name__)


@pytest.mark.timeout(600)  # its fixture runs all cases at once
@pytest.mark.skipif(not has_torch, reason="needs torch")
@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_weights(name: str, outcome: dict[str, str]) -> None:
    assert outcome[name] == ""
