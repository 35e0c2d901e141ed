"""Sleep of a child on a stand-in: after waking, every byte of every tensor is what it was."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch._subclasses.fake_tensor import FakeTensorMode

from spaces_workers.child.sleep import sleeper as sleeper_module
from spaces_workers.child.sleep.digest import digest, mixed
from spaces_workers.child.sleep.host_memory import SMALL
from spaces_workers.child.sleep.sleeper import CannotSleep, Halted, Sleeper
from spaces_workers.child.sleep.storages import freeze
from spaces_workers.gpu.standin_memory import OutOfMemoryError
from tests.unit.sleeping import Bed, bytes_of, card_in
from tests.unit.sleeping_models import Machine, two_in_one
from tests.unit.test_host_memory_of_sleep import Driver


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    yield Bed.of(card_in(tmp_path))
    gc.collect()


TestSleep = Machine.TestCase
TestSleep.settings = settings(max_examples=12, stateful_step_count=15)


def fetches(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each storage that is copied to the host from now on."""
    fetched: list[int] = []
    fetch = bed.card.fetch

    def noted(storage: Any, into: Any, *, pinned: bool) -> None:
        fetched.append(storage.nbytes())
        fetch(storage, into, pinned=pinned)

    monkeypatch.setattr(bed.card, "fetch", noted)
    return fetched


def test_what_has_not_changed_is_not_copied_back(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    same, changed = torch.randn(1000), torch.randn(2000)
    bed.put(same, changed)
    fetched = fetches(bed, monkeypatch)
    bed.nap()
    bed.nap()
    changed.data[7] += 1  # version counters do not see it
    bed.nap()
    assert sorted(fetched) == [4000, 8000, 8000]


def test_bytes_that_are_the_same_are_kept_once(bed: Bed) -> None:
    first = torch.randn(1 << 16)
    second = first.clone()
    bed.put(first, second)
    bed.sleeper.sleep(pinned=True)
    assert bed.sleeper.host_bytes == first.nbytes
    bed.sleeper.wake(keep=False)
    second += 1
    assert not torch.equal(first, second)


def test_copies_of_what_is_gone_are_freed(bed: Bed) -> None:
    tensors = [torch.randn(1 << 16)]
    bed.put(*tensors)
    bed.nap()
    tensors.clear()
    bed.nap()
    assert bed.sleeper.host_bytes == 0


def test_a_child_that_has_saved_its_tensors_sleeps_without_reading_them(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = torch.randn(1000)
    before = bytes_of(tensor)
    bed.put(tensor)
    bed.sleeper.save(pinned=True)
    assert bytes_of(tensor) == before
    assert bed.sleeper.host_bytes == 4032
    for name in ("fetch", "holds"):
        monkeypatch.setattr(bed.card, name, _raise(AssertionError("it was read")))
    for _ in "ab":
        bed.sleeper.sleep(pinned=True, unchanged=True)
        bed.sleeper.wake(keep=True)
    assert bytes_of(tensor) == before


def test_nothing_is_held_that_a_task_drops(bed: Bed) -> None:
    tensors = [torch.randn(1000)]
    gone = weakref.ref(tensors[0].untyped_storage())
    bed.put(*tensors)
    bed.sleeper.save(pinned=True)
    bed.sleeper.forget()
    tensors.clear()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("looks", [0, 1, 2, 3])
def test_a_sleep_that_is_halted_leaves_the_child_awake(bed: Bed, looks: int) -> None:
    tensors = [torch.randn(1000) for _ in range(2)]
    before = [bytes_of(each) for each in tensors]
    bed.put(*tensors)
    with pytest.raises(Halted):
        bed.sleeper.sleep(pinned=True, halted=at_look(looks))
    assert [bytes_of(each) for each in tensors] == before
    assert bed.sleeper.left_bytes == bed.sleeper.host_bytes == 0
    bed.nap()
    assert [bytes_of(each) for each in tensors] == before


@pytest.mark.parametrize("looks", [0, 1])
def test_a_wake_that_is_halted_leaves_the_child_asleep(bed: Bed, looks: int) -> None:
    tensors = [torch.randn(1000) for _ in range(2)]
    before = [bytes_of(each) for each in tensors]
    bed.put(*tensors)
    bed.sleeper.sleep(pinned=True)
    with pytest.raises(Halted):
        bed.sleeper.wake(keep=True, halted=at_look(looks))
    assert bed.card.memory.used_bytes == 0
    assert not any(each.untyped_storage().nbytes() for each in tensors)
    bed.sleeper.wake(keep=True)
    assert [bytes_of(each) for each in tensors] == before


def test_a_save_that_is_halted_keeps_the_copies_from_before(bed: Bed) -> None:
    old, new = torch.randn(1000), torch.randn(1000)
    bed.put(old)
    bed.nap()
    bed.put(old, new)
    with pytest.raises(Halted):
        bed.sleeper.save(pinned=True, halted=at_look(3))
    assert bed.sleeper.host_bytes == 4032
    bed.nap()


def test_a_save_that_is_halted_goes_on_from_there(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """All was lost that it had copied and pinned: a large child that is halted often was never saved."""
    monkeypatch.setattr(sleeper_module, "KEPT_BYTES", SMALL)
    tensors = [torch.full((SMALL,), n, dtype=torch.uint8) for n in range(5)]
    before = [bytes_of(each) for each in tensors]
    bed.put(*tensors)
    driver = Driver()
    sleeper = Sleeper(bed.card, driver)
    fetched = fetches(bed, monkeypatch)
    for kept in range(1, 5):
        with pytest.raises(Halted):
            sleeper.save(pinned=True, halted=lambda enough=kept: len(fetched) == enough)  # type: ignore[misc]
        assert sleeper.host_bytes == sleeper.pinned_bytes == sum(driver.registered.values()) == kept * SMALL
    sleeper.sleep(pinned=True)
    assert len(fetched) == 5
    sleeper.wake(keep=True)
    assert [bytes_of(each) for each in tensors] == before


def test_a_copy_under_way_ends_before_its_memory_is_freed(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [torch.randn(1000) for _ in range(2)]
    bed.put(*tensors)
    done: list[str] = []
    monkeypatch.setattr(bed.card, "settle", lambda: done.append("settled"))
    driver = Driver()
    monkeypatch.setattr(driver, "unregister", lambda _: done.append("freed"))
    with pytest.raises(Halted):
        Sleeper(bed.card, driver).save(pinned=True, halted=at_look(4))
    assert done == ["settled", "freed"]


def test_a_child_that_is_halted_pins_no_more(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It pinned all at once, a tenth of a second for each GB, while a task waited."""
    tensors = [torch.full((SMALL,), n, dtype=torch.uint8) for n in range(5)]
    bed.put(*tensors)
    driver, pinned = Driver(), count()
    register = driver.register
    monkeypatch.setattr(driver, "register", lambda *args, **more: (next(pinned), register(*args, **more)))
    with pytest.raises(Halted):
        Sleeper(bed.card, driver).save(pinned=True, halted=lambda: bool(driver.registered))
    assert next(pinned) == 1
    assert not driver.registered


def at_look(number: int) -> Callable[[], bool]:
    """Halts at this look, counted from 0."""
    looks = count()
    return lambda: next(looks) == number


def test_what_saved_tensors_share_goes_and_comes_back_with_them(bed: Bed) -> None:
    weight = torch.randn(50, requires_grad=True)
    result = (weight * weight).sum()
    bed.put(weight)
    bed.nap()
    result.backward()
    assert torch.equal(weight.grad, 2 * weight.detach())


def test_a_full_card_leaves_the_sleeper_asleep_until_there_is_room(tmp_path: Path) -> None:
    tensors = [torch.randn(1000) for _ in range(3)]
    before = [bytes_of(each) for each in tensors]
    bed = Bed.of(card_in(tmp_path, size=12_000))
    bed.put(*tensors)
    bed.sleeper.sleep(pinned=False)
    bed.card.memory.hold(1)
    with pytest.raises(OutOfMemoryError, match="12000"):
        bed.sleeper.wake(keep=True)
    assert bed.card.memory.used_bytes == 1
    assert not any(each.untyped_storage().nbytes() for each in tensors)
    bed.card.memory.hold(0)
    bed.sleeper.wake(keep=True)
    assert [bytes_of(each) for each in tensors] == before


def test_a_copy_that_fails_leaves_the_child_awake(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.randn(1000)
    bed.put(tensor)
    monkeypatch.setattr(bed.card, "fetch", _raise(OSError("no memory")))
    with pytest.raises(OSError, match="no memory"):
        bed.sleeper.sleep(pinned=True)
    assert tensor.untyped_storage().nbytes() == 4000
    assert bed.sleeper.host_bytes == bed.sleeper.left_bytes == 0


def test_an_obstacle_keeps_a_child_awake(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bed.card, "obstacle", lambda: "it has recorded a graph")
    with pytest.raises(CannotSleep, match="recorded a graph"):
        bed.sleeper.sleep(pinned=True)


def test_memory_that_torch_does_not_own_stays(bed: Bed) -> None:
    foreign = torch.frombuffer(bytearray(400), dtype=torch.uint8)
    bed.put(foreign)
    bed.sleeper.sleep(pinned=True)
    assert foreign.untyped_storage().nbytes() == 400
    assert bed.sleeper.left_bytes == 0


def test_a_wrapper_of_tensors_has_no_bytes_of_its_own(bed: Bed) -> None:
    """A child with weights of torchao could not sleep: to read the storage of the wrapper itself raises."""
    inner, scale = torch.randn(50), torch.randn(50)
    wrapper = two_in_one(inner, scale)
    bed.put(inner, scale)
    wrapper.untyped_storage().card = bed.card
    before = [bytes_of(inner), bytes_of(scale)]
    bed.sleeper.sleep(pinned=True)
    assert bed.sleeper.left_bytes == 400
    bed.sleeper.wake(keep=True)
    assert [bytes_of(inner), bytes_of(scale)] == before


def test_a_fake_tensor_is_left_alone(bed: Bed) -> None:
    """torch warns of a question for its address, and a warning is an error here."""
    with FakeTensorMode():
        fake = torch.empty(16)
    real = torch.randn(50)
    bed.put(real)
    bed.sleeper.sleep(pinned=True)
    assert bed.sleeper.left_bytes == 200
    assert fake.untyped_storage().device.type == "meta"


#: Words that the digest of a GPU mixes at a time, here.
WORDS = 1000

Digest = Callable[[Any], bytes]

digests = pytest.mark.parametrize("digest", [digest, lambda storage: mixed(storage, WORDS)], ids=["memory", "mixed"])


@digests
@pytest.mark.parametrize("size", [1, 7, 8, 9, 8 * WORDS, 16 * WORDS + 13])
def test_a_digest_depends_on_every_byte(digest: Digest, size: int) -> None:
    tensor = torch.randint(0, 256, (size,), dtype=torch.uint8)
    before = digest(tensor.untyped_storage())
    assert digest(tensor.clone().untyped_storage()) == before
    for place in {0, size // 2, size - 1}:
        tensor[place] ^= 128
        assert digest(tensor.untyped_storage()) != before
        tensor[place] ^= 128
    assert digest(tensor.untyped_storage()) == before


@digests
def test_a_digest_sees_changes_that_plain_sums_do_not(digest: Digest) -> None:
    numbers = torch.arange(1, 3001).double()
    seen = {digest(numbers.untyped_storage())}
    for change in (-numbers, numbers.flip(0), numbers.roll(1), torch.cat([-numbers[:2], numbers[2:]])):
        seen.add(digest(change.clone().untyped_storage()))
    assert len(seen) == 5


def _raise(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_fork_finds_the_tensors_of_its_zygote_and_leaves_the_rest_hidden(bed: Bed) -> None:
    """It looked at every object of the zygote, at each sleep, and took a copy of all the pages that they lie in."""
    tensor, replaced = torch.randn(100), torch.nn.Parameter(torch.randn(10))
    freeze()
    try:
        hidden = gc.get_freeze_count()
        replaced.data = torch.randn(200)  # as `.to("cuda")` does, in a function
        bed.put(tensor, replaced)
        Sleeper(bed.card, driver=None).sleep(pinned=True)
        assert tensor.untyped_storage().nbytes() == replaced.untyped_storage().nbytes() == 0
        assert gc.get_freeze_count() > 0.9 * hidden > 0
    finally:
        gc.unfreeze()
