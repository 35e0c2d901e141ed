"""The card of a GPU notices, without a GPU, what must stay at its address."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from spaces_workers.child.sleep import gpu_card
from spaces_workers.child.sleep.gpu_card import CudaDriver, GpuCard
from spaces_workers.child.sleep.region import PinningRefused


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[GpuCard]:
    with monkeypatch.context() as patch:
        for owner, name in (
            (torch.cuda.CUDAGraph, "capture_begin"),
            (torch.Tensor, "__dlpack__"),
            (torch.Tensor, "__cuda_array_interface__"),
            (torch.UntypedStorage, "_share_cuda_"),
        ):
            patch.setattr(owner, name, getattr(owner, name))
        map_files(patch, "/usr/lib/libc.so.6")  # another test of this process may have loaded a compiled model
        yield GpuCard()


def map_files(patch: pytest.MonkeyPatch, path: str) -> None:
    """Let this process look as if it had mapped this file alone."""
    line = f"7f00-7f01 r-xp 00000000 00:00 1 {path}"
    patch.setattr(gpu_card, "Path", lambda _: SimpleNamespace(read_text=lambda: line))


def test_a_process_that_has_recorded_a_graph_must_stay_awake(card: GpuCard) -> None:
    assert card.obstacle() == ""
    with pytest.raises((AttributeError, TypeError, RuntimeError)):  # there is no GPU
        torch.cuda.CUDAGraph.capture_begin(SimpleNamespace())
    assert "CUDA graph" in card.obstacle()


def test_so_must_one_with_a_model_that_was_compiled_ahead(card: GpuCard, monkeypatch: pytest.MonkeyPatch) -> None:
    map_files(monkeypatch, "/tmp/x/data/aotinductor/model/c.wrapper.so")
    assert "compiled ahead of time" in card.obstacle()


def test_a_tensor_that_another_library_has_stays(card: GpuCard) -> None:
    exported, other = torch.arange(3), torch.arange(3)
    exported[1:].__dlpack__()
    assert exported.untyped_storage().stays
    assert not hasattr(other.untyped_storage(), "stays")
    with pytest.raises(AttributeError):  # it is not on a GPU
        _ = other.__cuda_array_interface__
    assert not hasattr(other, "__cuda_array_interface__")


def test_so_does_one_that_another_process_has(card: GpuCard) -> None:
    """A process that a function had given a tensor to would have read memory that is free, or another's."""
    tensor = torch.arange(3)
    with pytest.raises(RuntimeError):  # it is not on a GPU
        tensor._typed_storage()._share_cuda_()
    assert tensor.untyped_storage().stays


def test_what_is_not_on_the_gpu_does_not_leave_it(card: GpuCard) -> None:
    assert not card.holds(torch.arange(3).untyped_storage())


def test_the_driver_says_why_it_does_not_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    read_only = 0x08  # cudaHostRegisterReadOnly

    def register(_address: int, size: int, flags: int) -> int:
        assert flags in (0, read_only)
        calls.append(("register read-only" if flags else "register", size))
        return 0 if size < 100 else 2

    runtime = SimpleNamespace(
        cudaHostRegister=register,
        cudaHostUnregister=lambda address: calls.append(("unregister", address)),
    )
    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    CudaDriver().register(4096, 10, read_only=False)
    CudaDriver().register(4096, 20, read_only=True)
    with pytest.raises(PinningRefused, match="cudaHostRegister of 100 bytes says 2"):
        CudaDriver().register(4096, 100, read_only=False)
    CudaDriver().unregister(4096)
    assert calls == [("register", 10), ("register read-only", 20), ("register", 100), ("unregister", 4096)]


def test_a_machine_without_the_driver_pins_nothing_read_only() -> None:
    assert not CudaDriver().pins_read_only


@pytest.mark.parametrize(("status", "value", "supported"), [(0, 1, True), (0, 0, False), (1, 1, False)])
def test_the_driver_is_asked_whether_it_pins_read_only_memory(
    monkeypatch: pytest.MonkeyPatch, status: int, value: int, supported: bool
) -> None:
    def ask(answer: Any, attribute: int, device: int) -> int:
        assert (attribute, device) == (113, 2)
        answer._obj.value = value
        return status

    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(cuDeviceGetAttribute=ask))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    assert CudaDriver().pins_read_only == supported
