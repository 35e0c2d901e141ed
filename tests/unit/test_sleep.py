"""Sleep of a child on a stand-in: after waking, every byte of every tensor is what it was."""

from __future__ import annotations

import ctypes
import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from spaces_workers.child.sleep.digest import CPU_WORDS, digest
from spaces_workers.child.sleep.sleeper import CannotSleep, Sleeper
from spaces_workers.gpu.standin_memory import OutOfMemoryError
from tests.unit.sleeping import Bed, bytes_of, card_in

DTYPES = [
    torch.float32,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.int8,
    torch.bool,
    torch.complex64,
    torch.int64,
]


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    yield Bed.of(card_in(tmp_path))
    gc.collect()


class Named(torch.Tensor):  # type: ignore[misc]  # torch is untyped here
    """A subclass of a tensor with its own attribute."""

    label = "named"


def two_in_one(inner: torch.Tensor, scale: torch.Tensor) -> Any:
    from torch.testing._internal.two_tensor import TwoTensor

    return TwoTensor(inner, scale)


class Machine(RuleBasedStateMachine):
    """A model that grows and changes at random, and sleeps in between."""

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.folder = Path(tempfile.mkdtemp())
        self.bed = Bed.of(card_in(self.folder))
        self.model = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.BatchNorm1d(5))
        self.others: list[Any] = []
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.generator = torch.Generator().manual_seed(seed)

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def tensors(self) -> list[Any]:
        states = [each for state in self.optimizer.state.values() for each in state.values()]
        gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
        return [*self.model.parameters(), *self.model.buffers(), *self.others, *states, *gradients]

    def plain(self) -> list[Any]:
        """The tensors that are views of a storage; a wrapper counts as the tensors in it."""
        found = []
        for tensor in self.tensors():
            if tensor.layout == torch.sparse_coo:
                found += [tensor._indices(), tensor._values()]
            elif hasattr(tensor, "__tensor_flatten__"):
                found += [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
            else:
                found.append(tensor)
        return found

    @rule(dtype=st.sampled_from(DTYPES), size=st.integers(0, 3000))
    def make_a_tensor(self, dtype: torch.dtype, size: int) -> None:
        self.others.append(torch.randint(0, 2, (size,)).to(dtype))

    @rule(rows=st.integers(1, 20), begin=st.integers(0, 5))
    def make_views(self, rows: int, begin: int) -> None:
        base = torch.randn(rows, 12)
        self.others += [base, base[:, begin:].t(), base.view(-1)[begin:], base.as_strided((2, 3), (1, 2), begin)]

    @rule()
    def make_a_detached_alias_and_lose_the_tensor(self) -> None:
        self.others.append(torch.nn.Parameter(torch.randn(9)).detach())

    @rule()
    def make_subclasses(self) -> None:
        inner = torch.randn(6)
        self.others += [torch.randn(5).as_subclass(Named), two_in_one(inner, torch.randn(6)), inner]

    @rule()
    def make_a_sparse_tensor(self) -> None:
        self.others.append(torch.eye(4).to_sparse_coo())

    @rule()
    def make_an_inference_tensor(self) -> None:
        with torch.inference_mode():
            self.others.append(torch.randn(11))

    @rule()
    def tie(self) -> None:
        layer = torch.nn.Linear(7, 5)
        layer.weight = self.model[0].weight
        self.model.append(layer)

    @rule()
    def add_an_adapter(self) -> None:
        self.model.append(torch.nn.Linear(5, 7, bias=False))

    @rule()
    def fuse(self) -> None:
        with torch.no_grad():
            self.model[0].weight += torch.randn(5, 2) @ torch.randn(2, 7)

    @rule()
    def write_without_being_counted(self) -> None:
        self.model[0].weight.data.mul_(1.5)

    @rule()
    def write_as_a_kernel_does(self) -> None:
        ctypes.memset(self.model[0].bias.data_ptr(), 7, 8)

    @rule()
    def train(self) -> None:
        self.optimizer.zero_grad()
        self.model[1](self.model[0](torch.randn(8, 7))).square().sum().backward()
        self.optimizer.step()

    @rule()
    def replace_the_memory_of_a_parameter(self) -> None:
        self.model[0].bias.data = torch.randn(5)

    @rule()
    def forget_the_others(self) -> None:
        self.others.clear()
        gc.collect()

    @rule(pinned=st.booleans(), keep=st.booleans())
    def sleep_and_wake(self, pinned: bool, keep: bool) -> None:
        tensors, plain = self.tensors(), self.plain()
        self.bed.put(*plain)
        addresses = [each.untyped_storage()._cdata for each in plain]
        versions = [None if each.is_inference() else each._version for each in plain]
        before, numbers = [bytes_of(each) for each in plain], self.generator.get_state()
        self.bed.sleeper.sleep(pinned=pinned)
        assert not any(each.untyped_storage().nbytes() for each in plain)
        assert self.bed.card.memory.used_bytes == 0
        assert self.bed.sleeper.left_bytes == sum(
            len(each) for each in dict(zip(addresses, before, strict=True)).values()
        )
        self.bed.sleeper.wake(keep=keep)
        assert all(mine is yours for mine, yours in zip(tensors, self.tensors(), strict=True))
        assert [each.untyped_storage()._cdata for each in plain] == addresses
        assert [None if each.is_inference() else each._version for each in plain] == versions
        assert [bytes_of(each) for each in plain] == before
        assert torch.equal(self.generator.get_state(), numbers)
        assert self.bed.card.memory.used_bytes == sum(map(len, dict(zip(addresses, before, strict=True)).values()))
        assert (self.bed.sleeper.host_bytes > 0) == keep


TestSleep = Machine.TestCase
TestSleep.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)


def test_what_has_not_changed_is_not_copied_back(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    same, changed = torch.randn(1000), torch.randn(2000)
    bed.put(same, changed)
    fetched: list[int] = []
    fetch = bed.card.fetch

    def noted(storage: Any, into: Any, *, pinned: bool) -> None:
        fetched.append(storage.nbytes())
        fetch(storage, into, pinned=pinned)

    monkeypatch.setattr(bed.card, "fetch", noted)
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


@pytest.mark.parametrize("size", [1, 7, 8, 9, 8 * CPU_WORDS, 8 * CPU_WORDS + 13])
def test_a_digest_depends_on_every_byte(size: int) -> None:
    tensor = torch.randint(0, 256, (size,), dtype=torch.uint8)
    before = digest(tensor.untyped_storage())
    assert digest(tensor.clone().untyped_storage()) == before
    for place in {0, size // 2, size - 1}:
        tensor[place] ^= 128
        assert digest(tensor.untyped_storage()) != before
        tensor[place] ^= 128
    assert digest(tensor.untyped_storage()) == before


def test_a_digest_sees_changes_that_plain_sums_do_not() -> None:
    numbers = torch.arange(1, 1001).double()
    seen = {digest(numbers.untyped_storage())}
    for change in (-numbers, numbers.flip(0), numbers.roll(1), torch.cat([-numbers[:2], numbers[2:]])):
        seen.add(digest(change.clone().untyped_storage()))
    assert len(seen) == 5


def _raise(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_sleeper_finds_tensors_that_a_zygote_has_hidden(bed: Bed) -> None:
    tensor = torch.randn(100)
    bed.put(tensor)
    gc.freeze()
    try:
        Sleeper(bed.card, driver=None).sleep(pinned=True)
        assert tensor.untyped_storage().nbytes() == 0
    finally:
        gc.unfreeze()
