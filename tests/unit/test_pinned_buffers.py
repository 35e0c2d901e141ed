"""Copies between a GPU and memory that is not pinned, through buffers, on a GPU that copies as late as it may."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from spaces_workers.child import pinned_buffers
from spaces_workers.child.pinned_buffers import Gpu, Piece, batched, pieces, to_device, to_host
from spaces_workers.child.sleep import unpinned_copies
from spaces_workers.child.sleep.gpu_card import GpuCard
from spaces_workers.child.sleep.host_memory import SMALL
from spaces_workers.child.sleep.sleeper import Halted, Sleeper
from spaces_workers.child.sleep.unpinned_copies import UnpinnedCopies
from tests.unit.sleeping import Bed, bytes_of, card_in
from tests.unit.test_host_memory_of_sleep import Driver
from tests.unit.test_sleep import at_look

BUFFER = 512


class LateGpu:
    """Copies nothing before it must: each thread has a stream, and waits for its events."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self.buffers = 0

    def buffer(self) -> Any:
        self.buffers += 1
        return torch.empty(BUFFER, dtype=torch.uint8)

    def stream(self) -> nullcontext[None]:
        self._mine.begun = []
        return nullcontext()

    def event(self) -> LateEvent:
        return LateEvent(self._mine.begun)

    def copy(self, target: Any, source: Any) -> None:
        self._mine.begun.append(lambda: target.copy_(source))


class LateEvent:
    """Copies are made when somebody waits for them."""

    def __init__(self, begun: list[Callable[[], object]]) -> None:
        self._begun = begun
        self._marked = 0

    def record(self) -> None:
        self._marked = len(self._begun)

    def synchronize(self) -> None:
        for place, copy in enumerate(self._begun[: self._marked]):
            copy()
            self._begun[place] = lambda: None


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned_buffers, "BUFFER_BYTES", BUFFER)
    monkeypatch.setattr(unpinned_copies, "BUFFER_BYTES", BUFFER)
    monkeypatch.setattr(unpinned_copies, "WORTHWHILE", 1)


SIZES = [5, 0, 1000, 17, 40_960, 1, 300]


def random_bytes(size: int) -> Any:
    return torch.randint(0, 256, (size,), dtype=torch.uint8)


def test_batches_have_all_bytes_once() -> None:
    sources, targets = [random_bytes(size) for size in SIZES], [random_bytes(size) for size in SIZES]
    found = [piece for s, t in zip(sources, targets, strict=True) for piece in pieces(s.data_ptr(), t, 300)]
    batches = list(batched(found, BUFFER))
    assert [piece for batch in batches for piece in batch] == found
    assert all(0 < sum(piece.size for piece in batch) <= BUFFER for batch in batches)
    assert sum(piece.size for piece in found) == sum(SIZES)


@pytest.mark.parametrize("way", [to_device, to_host])
def test_every_byte_arrives_through_the_buffers(way: Callable[[list[Piece], Gpu], None]) -> None:
    hosts, devices = [random_bytes(size) for size in SIZES], [random_bytes(size) for size in SIZES]
    expected = [each.clone() for each in (hosts if way is to_device else devices)]
    found = [piece for h, d in zip(hosts, devices, strict=True) for piece in pieces(h.data_ptr(), d, BUFFER)]
    way(found, LateGpu())
    for host, device, bytes_then in zip(hosts, devices, expected, strict=True):
        assert torch.equal(host, bytes_then)
        assert torch.equal(device, bytes_then)


def test_an_error_of_a_lane_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LateGpu, "buffer", lambda _: (_ for _ in ()).throw(MemoryError("nothing can be pinned")))
    source, target = random_bytes(100), random_bytes(100)
    with pytest.raises(MemoryError, match="nothing can be pinned"):
        to_device(pieces(source.data_ptr(), target, BUFFER), LateGpu())


class CpuCard(GpuCard):
    """The card of a GPU whose memory is that of the host."""

    def __init__(self, bed: Bed, gpu: LateGpu) -> None:
        super().__init__(UnpinnedCopies(gpu))
        self.holds = bed.card.holds  # type: ignore[method-assign]

    def prepare(self, size: int) -> None:
        pass


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    for owner, name in (
        (torch.cuda.CUDAGraph, "capture_begin"),
        (torch.Tensor, "__dlpack__"),
        (torch.Tensor, "__cuda_array_interface__"),
        (torch.UntypedStorage, "_share_cuda_"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # the card replaces it
    monkeypatch.setattr(GpuCard, "obstacle", lambda _: "")
    return Bed.of(card_in(tmp_path))


def test_a_child_whose_memory_the_driver_does_not_pin_sleeps_and_wakes_through_buffers(bed: Bed) -> None:
    tensors = [torch.randn(10_000), torch.randn(3), torch.randn(10_000).t()]
    before = [bytes_of(each) for each in tensors]
    bed.put(*tensors)
    gpu = LateGpu()
    sleeper = Sleeper(CpuCard(bed, gpu), Driver(refuses=True))
    for _ in "ab":
        sleeper.sleep(pinned=True)
        assert sleeper.pinned_bytes == 0 < sleeper.left_bytes
        sleeper.wake(keep=False)
        assert [bytes_of(each) for each in tensors] == before
    assert gpu.buffers


def test_copies_that_the_driver_does_not_pin_read_only_are_shared_and_read_through_buffers(bed: Bed) -> None:
    tensor = torch.randint(0, 256, (2 * SMALL,), dtype=torch.uint8)
    before = bytes_of(tensor)
    bed.put(tensor)
    driver = Driver(pins_read_only=False)
    sleeper = Sleeper(CpuCard(bed, LateGpu()), driver)
    sleeper.save(pinned=True)
    assert sleeper.sharable == []  # each keeps its own pinned copy, which is read faster
    sleeper.wake(keep=False)
    sleeper.sleep(pinned=False)
    [part] = sleeper.sharable
    shown = sleeper.show(part.name)
    sleeper.share(part.name, shown)
    os.close(shown)
    assert part.is_shared
    sleeper.wake(keep=True)
    assert bytes_of(tensor) == before
    assert not driver.registered


@pytest.mark.parametrize("looks", [0, 1])
def test_a_wake_that_is_halted_copies_nothing_afterwards(bed: Bed, looks: int) -> None:
    tensors = [torch.randn(1000) for _ in range(2)]
    before = [bytes_of(each) for each in tensors]
    bed.put(*tensors)
    sleeper = Sleeper(CpuCard(bed, LateGpu()), Driver(refuses=True))
    sleeper.sleep(pinned=True)
    with pytest.raises(Halted):
        sleeper.wake(keep=True, halted=at_look(looks))
    assert not any(each.untyped_storage().nbytes() for each in tensors)
    sleeper.wake(keep=True)
    assert [bytes_of(each) for each in tensors] == before
