"""A child that is told to save its tensors, to sleep or to wake, and to halt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spaces_workers.link.channel import Channel
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.link.sleep_messages import Halt, HostCopy, Unable, Wake
from spaces_workers.worker.child_link import ChildLink, Halted, StaysAwake, UnfitChild
from tests.unit.test_child_ends import Zygote


@pytest.fixture
def line() -> Iterator[tuple[ChildLink, Channel]]:
    ours, theirs = Channel.pair()
    child = ChildLink(ZygoteSpec("digits", "", "", "", b""), 0, ours, Zygote(None))
    child._bond.given()
    child._bond.cut()  # nobody is at its other end
    yield child, theirs
    ours.close()
    theirs.close()


def test_an_order_after_a_halt_is_not_given_until_the_child_goes_on(line: tuple[ChildLink, Channel]) -> None:
    """The child took the halt for an old one, and obeyed the order while a task waited."""
    child, theirs = line
    child.halt()
    with pytest.raises(Halted, match="digits was not told to wake"):
        child.wake(keep=True)
    child.go_on()
    theirs.send(Unable("full", out_of_memory=True))
    with pytest.raises(UnfitChild):
        child.wake(keep=True)
    assert theirs.receive(1.0) == Wake(keep=True)


def test_only_a_child_that_was_told_to_halt_is_believed_that_it_did(line: tuple[ChildLink, Channel]) -> None:
    """Else it would keep its room, and the task of another Space would fail."""
    child, theirs = line
    theirs.send(Unable("it was told to halt", out_of_memory=False, halted=True))
    with pytest.raises(StaysAwake):
        child.put_to_sleep(pinned=True)


def test_a_child_is_told_to_halt_only_while_it_obeys(line: tuple[ChildLink, Channel]) -> None:
    child, theirs = line
    theirs.send(Unable("full", out_of_memory=True))
    with pytest.raises(UnfitChild):
        child.wake(keep=True)
    child.halt()
    assert theirs.receive(1.0) == Wake(keep=True)
    with pytest.raises(TimeoutError):
        assert isinstance(theirs.receive(0.0), Halt)


def test_a_worker_counts_what_a_halted_child_has_copied_to_the_host(line: tuple[ChildLink, Channel]) -> None:
    child, theirs = line
    part = HostCopy(bytes(16), 2 << 20, is_shared=False)
    theirs.send(Unable("halted", False, halted=True, host_bytes=3 << 20, pinned_bytes=2 << 20, copies=(part,)))
    with pytest.raises(StaysAwake):
        child.save(pinned=True)
    assert (child.host_bytes, child.pinned_bytes, child.copies.sizes) == (3 << 20, 2 << 20, {part.name: part.size})
