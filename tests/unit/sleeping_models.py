"""A model that grows and changes at random, and sleeps in between; on a stand-in, and on a real GPU."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import torch
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from spaces_workers.child.sleep import host_memory
from spaces_workers.child.sleep.sleeper import Sleeper
from tests.unit.sleeping import Bed, bytes_of, card_in, write

DTYPES = [
    torch.float32,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.int8,
    torch.bool,
    torch.complex64,
    torch.int64,
]


class Named(torch.Tensor):  # type: ignore[misc]  # torch is untyped here
    """A subclass of a tensor with its own attribute."""

    label = "named"


class State:
    """What a quantised weight needs to be read, as bitsandbytes keeps it: an object beside the tensor."""

    def __init__(self, scales: torch.Tensor) -> None:
        self.scales = scales
        self.nested = {"code": [torch.linspace(-1, 1, 16)]}


class Packed(torch.nn.Parameter):  # type: ignore[misc]  # torch is untyped here
    """A parameter of packed integers with attributes of its own, as those of bitsandbytes and of GGUF."""

    state: State
    quant_type = "Q8_0"

    def __new__(cls, weight: torch.Tensor) -> Packed:
        scales = weight.abs().amax(1, keepdim=True) / 127
        packed = torch.Tensor._make_subclass(cls, (weight / scales).round().to(torch.int8), False)
        packed.state = State(scales)
        return packed  # type: ignore[no-any-return]

    def read(self) -> torch.Tensor:
        """The weight that it stands for."""
        return self.as_subclass(torch.Tensor) * self.state.scales


def two_in_one(inner: torch.Tensor, scale: torch.Tensor) -> Any:
    from torch.testing._internal.two_tensor import TwoTensor

    return TwoTensor(inner, scale)


class Machine(RuleBasedStateMachine):
    """A model that grows and changes at random, and sleeps in between; by default on a stand-in."""

    device = "cpu"  #: of tensors that are on the card

    def make_sleeper(self, folder: Path) -> Sleeper:
        self.bed = Bed.of(card_in(folder))
        return self.bed.sleeper

    def put(self, tensors: list[Any]) -> None:
        """Let these tensors be on the card."""
        self.bed.put(*tensors)

    def check_account(self, held_bytes: int) -> None:
        """The card counts so many bytes of these tensors."""
        assert self.bed.card.memory.used_bytes == held_bytes

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        torch.set_default_device(self.device)
        torch.manual_seed(seed)
        self.folder = Path(tempfile.mkdtemp())
        self.sleeper = self.make_sleeper(self.folder)
        self.model = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.BatchNorm1d(5))
        self.others: list[Any] = []
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.packed: list[Packed] = []
        self.compiled: list[Any] = []
        self.fused: list[Any] = []
        self.least_shared, host_memory.SMALL = host_memory.SMALL, 1

    def teardown(self) -> None:
        torch.set_default_device(None)
        host_memory.SMALL = self.least_shared
        shutil.rmtree(self.folder, ignore_errors=True)

    def tensors(self) -> list[Any]:
        states = [each for state in self.optimizer.state.values() for each in state.values()]
        gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
        packed = [each for one in self.packed for each in (one, one.state.scales, *one.state.nested["code"])]
        return [
            *self.model.parameters(),
            *self.model.buffers(),
            *self.others,
            *packed,
            *states,
            *gradients,
            *self.fused,
        ]

    def results(self) -> list[bytes]:
        """What compiled modules compute, and what packed weights stand for."""
        with torch.no_grad():
            found = [module(torch.linspace(-1, 1, 7)) for module in self.compiled]
            return [bytes_of(each) for each in (*found, *(one.read() for one in self.packed))]

    def plain(self) -> list[Any]:
        """The tensors on the card that are views of a storage; a wrapper counts as the tensors in it."""
        found = []
        for tensor in self.tensors():
            if tensor.layout == torch.sparse_coo:
                found += [tensor._indices(), tensor._values()]
            elif hasattr(tensor, "__tensor_flatten__"):
                found += [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
            else:
                found.append(tensor)
        return [each for each in found if each.device.type == self.device]

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

    @rule(rows=st.integers(1, 9))
    def make_a_packed_parameter(self, rows: int) -> None:
        self.packed.append(Packed(torch.randn(rows, 8)))

    @precondition(lambda self: not self.compiled)
    @rule()
    def compile_a_module(self) -> None:
        """With its weights as inputs of the graph; that of the real compiler differs in its kernels only."""
        self.compiled.append(torch.compile(self.model[0], backend="aot_eager"))

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
        self.fused.append(torch.randn(5, 2) @ torch.randn(2, 7))
        with torch.no_grad():
            self.model[0].weight += self.fused[-1]

    @precondition(lambda self: self.fused)
    @rule()
    def unfuse(self) -> None:
        with torch.no_grad():
            self.model[0].weight -= self.fused.pop()

    @rule()
    def write_without_being_counted(self) -> None:
        self.model[0].weight.data.mul_(1.5)

    @rule()
    def write_as_a_kernel_does(self) -> None:
        write(self.model[0].bias.untyped_storage(), 7)

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

    def share(self) -> None:
        """Let the copies lie in memory that others could have too."""
        for region in self.sleeper.sharable:
            fd = self.sleeper.show(region.name)
            self.sleeper.share(region.name, fd)
            os.close(fd)

    @rule(pinned=st.booleans(), keep=st.booleans(), saved=st.booleans(), changed=st.booleans(), shared=st.booleans())
    def sleep_and_wake(self, pinned: bool, keep: bool, saved: bool, changed: bool, shared: bool) -> None:
        tensors, plain = self.tensors(), self.plain()
        self.put(plain)
        addresses = [each.untyped_storage()._cdata for each in plain]
        versions = [None if each.is_inference() else each._version for each in plain]
        before, numbers, common = [bytes_of(each) for each in plain], self.generator.get_state(), torch.get_rng_state()
        results = self.results()
        held = sum(map(len, dict(zip(addresses, before, strict=True)).values()))
        if saved:
            self.sleeper.save(pinned=pinned)
            self.share()
        if saved and changed:
            self.write_as_a_kernel_does()
            before, results = [bytes_of(each) for each in plain], self.results()
        self.sleeper.sleep(pinned=pinned, unchanged=saved and not changed)
        assert not any(each.untyped_storage().nbytes() for each in plain)
        assert self.sleeper.left_bytes >= held
        self.check_account(0)
        if shared:
            self.share()
        self.sleeper.wake(keep=keep)
        assert all(mine is yours for mine, yours in zip(tensors, self.tensors(), strict=True))
        assert [each.untyped_storage()._cdata for each in plain] == addresses
        assert [None if each.is_inference() else each._version for each in plain] == versions
        assert [bytes_of(each) for each in plain] == before
        assert self.results() == results
        assert torch.equal(self.generator.get_state(), numbers)
        assert torch.equal(torch.get_rng_state(), common)
        self.check_account(held)
        assert (self.sleeper.host_bytes > 0) == keep
