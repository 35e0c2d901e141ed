"""The host memory of sleepers: what is asked of the driver, that none of it is lost, and where a refusal leads."""

from __future__ import annotations

import pytest
import torch

from spaces_workers.child.sleep.host_memory import ALIGNMENT, HostMemory, PinningRefused

A, B, C = (b"a", 100), (b"b", 1), (b"c", 3000)


class Driver:
    """A fake of the driver's calls; refuses all if `refuses`."""

    def __init__(self, refuses: bool = False) -> None:
        self.registered: dict[int, int] = {}
        self._refuses = refuses

    def register(self, address: int, size: int) -> None:
        if self._refuses:
            raise PinningRefused("no")
        assert address not in self.registered
        self.registered[address] = size

    def unregister(self, address: int) -> None:
        del self.registered[address]


def test_contents_that_come_together_are_pinned_by_one_call() -> None:
    driver = Driver()
    memory = HostMemory(driver)
    assert memory.add([A, B, A], pinned=True) == [A, B]
    assert memory.add([A], pinned=True) == []
    assert list(driver.registered.values()) == [memory.pinned_bytes] == [memory.size_bytes]
    assert (memory[A].bytes.numel(), memory[B].bytes.numel()) == (100, 1)
    assert all(memory[each].pinned and memory[each].bytes.data_ptr() % ALIGNMENT == 0 for each in (A, B))


def test_memory_is_let_go_when_no_content_of_it_is_kept() -> None:
    driver = Driver()
    memory = HostMemory(driver)
    memory.add([A, B], pinned=True)
    memory.add([C], pinned=True)
    memory.keep_only([B, C])
    assert len(driver.registered) == 2
    memory.keep_only([C])
    assert list(driver.registered) == [memory[C].bytes.data_ptr()]
    memory.keep_only([])
    assert not driver.registered
    assert memory.size_bytes == 0


def test_memory_that_the_driver_refuses_to_pin_is_used_as_it_is() -> None:
    memory = HostMemory(Driver(refuses=True))
    memory.add([A], pinned=True)
    memory[A].bytes.copy_(torch.arange(100))
    assert memory[A].bytes.tolist() == list(range(100))
    assert not memory[A].pinned
    assert memory.pinned_bytes == 0
    memory.keep_only([])


def test_ordinary_memory_asks_nothing_of_the_driver() -> None:
    driver = Driver()
    memory = HostMemory(driver)
    memory.add([A], pinned=False)
    assert not driver.registered
    assert memory.size_bytes > memory.pinned_bytes == 0


def test_a_content_that_was_dropped_must_be_copied_again() -> None:
    memory = HostMemory(None)
    memory.add([A, B], pinned=True)
    memory.keep_only([B])
    with pytest.raises(KeyError):
        _ = memory[A]
    assert memory.add([A, B], pinned=True) == [A]
