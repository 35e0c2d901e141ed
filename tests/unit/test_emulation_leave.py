"""Leaving the emulation in a child that owns a device: everything moves once, and nothing of us stays behind."""

from __future__ import annotations

import threading
from typing import Any  # torch is not typed here

import pytest

from tests.unit.emulation_process import Case, has_torch, outcomes

CASES: list[Case] = []


def case(function: Case) -> Case:
    CASES.append(function)
    return function


def leave_for_another_memory() -> set[int]:
    """Leave for the CPU, but with every storage copied as to a GPU; returns the new addresses."""
    from spaces import emulation

    addresses: set[int] = set()

    def move(storages: list[Any]) -> list[Any]:
        copies = [storage.clone() for storage in storages]
        addresses.update(copy.data_ptr() for copy in copies)
        return copies

    emulation.leave("cpu", move)
    return addresses


@case
def every_tensor_moves_wherever_it_is_kept() -> None:
    import torch

    from spaces import emulation

    model = torch.nn.Linear(2, 2).to("cuda")
    listed = [torch.ones(2, device="cuda")]
    parameter = torch.nn.Parameter(torch.ones(2, device="cuda"))
    closed = torch.ones(2, device="cuda")
    cpu = torch.ones(2)

    def where() -> str:
        return str(closed.device)

    assert where() == "cuda:0"

    kept = [model.weight, model.bias, listed[0], parameter, closed]
    moved = leave_for_another_memory()
    assert moved == {tensor.untyped_storage().data_ptr() for tensor in kept}
    assert where() == "cpu"
    assert emulation.tracked() == []
    assert not emulation.is_emulated(model.weight)
    assert cpu.untyped_storage().data_ptr() not in moved


@case
def objects_values_ties_and_views_are_kept() -> None:
    import torch

    from spaces import emulation

    model = torch.nn.Sequential(torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)).cuda()
    model[1].weight = model[0].weight
    weight, before = model[0].weight, model[0].weight.cpu()
    row, transposed = model[0].weight.data[1], model[0].weight.data.t()
    moved: list[int] = []

    def move(storages: list[Any]) -> list[Any]:
        moved.extend(storage.nbytes() for storage in storages)
        return [storage.clone() for storage in storages]

    emulation.leave("cpu", move)
    assert moved == [36]
    assert model[0].weight is weight
    assert model[1].weight is weight
    assert torch.equal(weight, before)
    with torch.no_grad():
        row.fill_(7)
    assert weight[1].tolist() == [7.0] * 3
    assert transposed[:, 1].tolist() == [7.0] * 3
    assert weight.untyped_storage().data_ptr() == row.untyped_storage().data_ptr()


@case
def gradients_and_special_tensors_move_too() -> None:
    import torch
    from torch.testing._internal.two_tensor import TwoTensor

    leaf = torch.ones(2, device="cuda", requires_grad=True)
    (leaf * 2).sum().backward()
    with torch.inference_mode():
        inferred = torch.ones(2, device="cuda")
    sparse = torch.eye(2, device="cuda").to_sparse()
    wrapped = TwoTensor(torch.ones(2), torch.ones(2)).to("cuda")
    gradient = leaf.grad
    moved = leave_for_another_memory()
    assert gradient is not None
    assert {tensor.untyped_storage().data_ptr() for tensor in (leaf, gradient, inferred)} <= moved
    assert [str(tensor.device) for tensor in (leaf, gradient, inferred, sparse, wrapped)] == ["cpu"] * 5
    assert sparse.to_dense().tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert wrapped.a.tolist() == [1.0, 1.0]


@case
def generators_are_real_and_have_their_seed() -> None:
    import torch

    from spaces import emulation

    generator = torch.Generator("cuda").manual_seed(11)
    torch.randn(5, generator=generator, device="cuda")
    emulation.leave("cpu")
    expected = torch.randn(3, generator=torch.Generator().manual_seed(11))
    assert torch.equal(torch.randn(3, generator=generator), expected)
    assert str(generator.device) == "cpu"
    assert generator.initial_seed() == 11


@case
def names_copied_out_of_torch_answer_as_the_originals() -> None:
    import torch
    from torch import Generator
    from torch.cuda import is_available
    from torch.cuda.streams import Stream

    from spaces import emulation

    assert is_available()
    assert type(Stream()).__module__.startswith("spaces")
    emulation.leave("cpu")
    assert is_available() == torch.cuda.is_available()
    assert torch.cuda.is_available.__module__.startswith("torch")
    assert type(Generator()) is torch.Generator
    assert isinstance(torch.Generator(), Generator)


@case
def nothing_of_the_emulation_is_left_in_torch() -> None:
    import torch

    from spaces import emulation

    torch.set_default_dtype(torch.float32)
    emulation.leave("cpu")
    assert torch.overrides._get_current_function_mode_stack() == []
    assert torch.version.cuda is None or torch.cuda.is_available()
    assert not torch.ones(2).is_cuda
    for owner in (torch, torch.cuda, torch.cuda.memory, torch.accelerator, torch._C, torch.Tensor, threading.Thread):
        for name, value in vars(owner).items():
            assert not str(getattr(value, "__module__", "")).startswith("spaces.emulation"), (owner, name)


@case
def new_threads_are_plain() -> None:
    import torch

    from spaces import emulation

    emulation.leave("cpu")
    seen: list[list[object]] = []
    thread = threading.Thread(target=lambda: seen.append(torch.overrides._get_current_function_mode_stack()))
    thread.start()
    thread.join()
    assert seen == [[]]


@case
def an_ended_thread_holds_no_mode_any_more() -> None:
    """Modes that were left to the thread's destructors aborted the process at exit, once in some thirty runs."""
    import gc
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from spaces.emulation.dispatch.mode import Emulation

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda size: torch.ones(size, device="cuda").is_cuda, range(64)))
    assert [type(thing) for thing in gc.get_objects() if type(thing) is Emulation] == [Emulation]


@case
def a_default_device_set_by_the_space_stays_in_force() -> None:
    import torch
    from torch.utils._device import DeviceContext

    from spaces import emulation

    torch.set_default_device("cuda")
    emulation.leave("cpu")
    (mode,) = torch.overrides._get_current_function_mode_stack()
    assert isinstance(mode, DeviceContext)
    assert mode.device.type == "cuda"


@case
def compiled_functions_are_compiled_after_leaving() -> None:
    import torch

    from spaces import emulation

    compiled: list[str] = []

    def backend(graph: Any, inputs: object) -> Any:
        compiled.append("once")
        return graph.forward

    double = torch.compile(lambda value: value * 2, backend=backend)
    assert double(torch.ones(1, device="cuda")).is_cuda
    assert not compiled
    emulation.leave("cpu")
    assert double(torch.ones(1)).item() == 2
    assert compiled


@case
def what_was_found_before_a_freeze_is_found_after_the_fork() -> None:
    import gc

    import torch

    from spaces import emulation

    weight = torch.ones(2, device="cuda")
    assert [id(tensor) for tensor in emulation.tracked()] == [id(weight)]
    gc.freeze()
    later = torch.ones(2, device="cuda")
    moved = leave_for_another_memory()
    assert moved == {weight.untyped_storage().data_ptr(), later.untyped_storage().data_ptr()}


@case
def a_freeze_before_anything_was_found_does_no_harm() -> None:
    import gc

    import torch

    weight = torch.ones(2, device="cuda")
    gc.freeze()
    assert leave_for_another_memory() == {weight.untyped_storage().data_ptr()}


@case
def autocast_entered_before_leaving_can_still_be_left() -> None:
    import torch

    from spaces import emulation

    with torch.autocast("cuda", dtype=torch.bfloat16):
        emulation.leave("cpu")
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cuda")


@case
def leaving_twice_does_nothing_and_installing_again_works() -> None:
    import torch

    from spaces import emulation

    emulation.leave("cpu")
    emulation.leave("cpu")
    assert emulation.tracked() == []
    emulation.install(emulation.RTX_PRO_6000)
    assert torch.cuda.get_device_capability() == (12, 0)
    assert torch.ones(1, device="cuda").is_cuda


@pytest.fixture(scope="module")
def outcome() -> dict[str, str]:
    return outcomes(__name__)


@pytest.mark.timeout(600)  # its fixture runs all cases at once
@pytest.mark.skipif(not has_torch, reason="needs torch")
@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_after_leaving(name: str, outcome: dict[str, str]) -> None:
    assert outcome[name] == ""
