"""The host memory of sleepers: what is asked of the driver, that none of it is lost, and where a refusal leads."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest
import torch

from spaces_workers.child.sleep.host_memory import SMALL, HostMemory
from spaces_workers.child.sleep.region import ALIGNMENT, Key, PinningRefused

A, B, C = (b"a", 100), (b"b", 1), (b"c", 3000)
LARGE = [(bytes([n % 3, n]), SMALL + n) for n in range(9)]


class Driver:
    """A fake of the driver's calls; refuses all if `refuses`, and read-only memory if it `pins_read_only` not."""

    def __init__(self, refuses: bool = False, pins_read_only: bool = True) -> None:
        self.registered: dict[int, int] = {}
        self.read_only: set[int] = set()
        self.pins_read_only = pins_read_only
        self._refuses = refuses

    def register(self, address: int, size: int, *, read_only: bool) -> None:
        if self._refuses or (read_only and not self.pins_read_only):
            raise PinningRefused("no")
        assert address not in self.registered
        self.registered[address] = size
        self.read_only |= {address} if read_only else set()

    def unregister(self, address: int) -> None:
        del self.registered[address]
        self.read_only.discard(address)


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


def filled(driver: Driver | None, keys: list[Key], *, pinned: bool = True) -> HostMemory:
    """Host memory whose contents have bytes that follow from their keys."""
    memory = HostMemory(driver)
    memory.add(keys, pinned=pinned)
    for key in keys:
        memory[key].bytes.fill_(key[0][-1])
    return memory


def permissions(address: int) -> str:
    """Of the mapping at an address of this process, as `/proc` writes them."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, found, *_ = line.split()
        begin, end = (int(each, 16) for each in bounds.split("-"))
        if begin <= address < end:
            return found
    return "none"


def share(giver: HostMemory, taker: HostMemory) -> None:
    """Let one use what the other shows."""
    for region in giver.sharable:
        fd = giver.show(region.name)
        taker.share(region.name, fd)
        os.close(fd)


def test_children_with_the_same_contents_have_the_same_regions_whatever_else_they_have() -> None:
    one, other = filled(None, [*LARGE, A]), filled(None, [C, *reversed(LARGE)])
    names = [region.name for region in one.sharable]
    assert len(names) == 3
    assert sorted(names) == sorted(region.name for region in other.sharable)
    changed = filled(None, [*LARGE[:-1], (b"\2\x63", SMALL)])
    assert len({region.name for region in changed.sharable} & set(names)) == 2


@pytest.mark.parametrize("pinned", [True, False])
def test_shared_bytes_are_the_same_and_cannot_be_written(pinned: bool) -> None:
    driver = Driver()
    memory = filled(driver, LARGE, pinned=pinned)
    share(filled(None, LARGE), memory)
    for key in LARGE:
        copy = memory[key]
        assert copy.pinned == pinned
        assert bytes(copy.bytes.tolist()) == bytes([key[0][-1]]) * key[1]
        assert permissions(copy.bytes.data_ptr()) == "r--s"
    assert all(region.is_shared for region in memory.sharable)
    assert set(driver.registered) == driver.read_only
    assert len(driver.read_only) == (3 if pinned else 0)
    memory.keep_only([])
    assert not driver.registered


def test_nobody_can_change_what_a_child_shows() -> None:
    memory = filled(None, LARGE[:1])
    fd = memory.show(memory.sharable[0].name)
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
    for each in (fd, again):
        with pytest.raises(PermissionError):
            os.pwrite(each, b"other", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(each, 1)
        with pytest.raises(PermissionError):
            mmap.mmap(each, SMALL, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        os.close(each)


def test_shared_memory_is_freed_with_its_last_user() -> None:
    memory = filled(Driver(), LARGE[:1])
    share(filled(None, LARGE[:1]), memory)
    address = memory[LARGE[0]].bytes.data_ptr()
    assert permissions(address) == "r--s"
    memory.keep_only([])
    assert permissions(address) != "r--s"


def test_a_driver_that_refuses_shared_memory_leaves_the_child_its_own() -> None:
    driver = Driver()
    memory = filled(driver, LARGE[:1])
    before = dict(driver.registered)
    driver.pins_read_only = False
    assert memory.sharable == []  # it offers nothing any more
    driver.pins_read_only = True
    [region] = memory.sharable
    fd = memory.show(region.name)
    driver.pins_read_only = False
    with pytest.raises(PinningRefused):
        memory.share(region.name, fd)
    os.close(fd)
    assert driver.registered == before
    assert memory[LARGE[0]].pinned
    memory[LARGE[0]].bytes.fill_(7)
