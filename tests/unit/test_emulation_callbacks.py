"""Code that torch calls back while it has set the emulation aside: it sees CUDA as it would on a GPU."""

from __future__ import annotations

import copy
import io
from typing import Any  # torch is not typed here

import pytest

from tests.unit.emulation_process import Case, has_torch, outcomes

CASES: list[Case] = []


def case(function: Case) -> Case:
    CASES.append(function)
    return function


@case
def a_custom_operator_for_every_device_sees_cuda() -> None:
    import torch

    seen = []

    def add_one(x: Any) -> Any:
        seen.append(x.device.type)
        return x + torch.ones(1, device="cuda")

    add_one.__annotations__ = {"x": torch.Tensor, "return": torch.Tensor}
    operator = torch.library.custom_op("zerofarm_test::any_device", add_one, mutates_args=())
    assert operator(torch.ones(2, device="cuda")).is_cuda
    assert seen == ["cuda"]


@case
def a_custom_operators_kernel_for_the_cpu_sees_the_cpu() -> None:
    """It hands pointers to native code, which must be of the CPU."""
    import torch

    seen = []

    def plain(x: Any) -> Any:
        seen.append(x.device.type)
        return x.clone()

    plain.__annotations__ = {"x": torch.Tensor, "return": torch.Tensor}
    operator = torch.library.custom_op("zerofarm_test::cpu", plain, mutates_args=(), device_types="cpu")
    operator.register_kernel("cuda")(lambda x: seen.append("kernel for cuda"))
    assert operator(torch.ones(2, device="cuda")).is_cuda
    assert seen == ["cpu"]


@case
def an_implementation_of_a_library_for_every_device_sees_cuda() -> None:
    import torch

    library = torch.library.Library("zerofarm_test_library", "DEF")
    for key in ("CompositeExplicitAutograd", "CompositeImplicitAutograd", ""):
        name = f"add_{key.lower() or 'default'}"
        library.define(f"{name}(Tensor x) -> Tensor")
        library.impl(name, lambda x: x.to("cuda") + torch.ones(1, device=x.device), key)
        assert getattr(torch.ops.zerofarm_test_library, name)(torch.ones(2, device="cuda")).is_cuda


@case
def an_operator_with_kernels_for_cuda_alone_is_refused_with_the_line() -> None:
    """Torch's own words are "Could not run ... with arguments from the 'CPU' backend"."""
    import torch

    from spaces import emulation

    library = torch.library.Library("zerofarm_test_cuda", "DEF")
    library.define("only(Tensor x) -> Tensor")
    library.impl("only", lambda x: x, "CUDA")
    with pytest.raises(emulation.EmulationError, match=r"only needs a real GPU.*test_emulation_callbacks\.py:"):
        torch.ops.zerofarm_test_cuda.only(torch.ones(1, device="cuda"))
    with pytest.raises(NotImplementedError):
        torch.ops.zerofarm_test_cuda.only(torch.ones(1, device="cuda"))
    with pytest.raises(NotImplementedError, match="Could not run"):
        torch.ops.zerofarm_test_cuda.only(torch.ones(1))


@case
def transformed_functions_see_cuda_and_return_it() -> None:
    import torch

    seen = []

    def twice(x: Any) -> Any:
        seen.append(x.device.type)
        return (x * 2 + torch.zeros(2, device="cuda")).sum()

    ones, rows = torch.ones(2, device="cuda"), torch.ones(3, 2, device="cuda")
    assert torch.vmap(twice)(rows).is_cuda
    assert torch.func.grad(twice)(ones).is_cuda
    assert torch.func.vmap(torch.func.grad(twice))(rows).is_cuda
    assert all(each.is_cuda for each in torch.func.jvp(twice, (ones,), (ones,)))
    assert torch.func.jacrev(twice)(ones).is_cuda
    assert set(seen) == {"cuda"}
    seen.clear()

    def watched(x: Any) -> Any:
        seen.append(x.device.type)
        return x

    assert not torch.vmap(watched)(torch.ones(2)).is_cuda
    assert seen == ["cpu"]


@case
def a_mask_of_flex_attention_is_on_cuda() -> None:
    import torch
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    query = torch.ones(1, 1, 128, 16, device="cuda")
    mask = create_block_mask(lambda _b, _h, q, k: q >= k, 1, 1, 128, 128, device="cuda")
    assert flex_attention(query, query, query, block_mask=mask).is_cuda


@case
def a_mode_of_dispatch_sees_cuda() -> None:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[str] = []

    class Watching(TorchDispatchMode):  # type: ignore[misc]  # torch is untyped here
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.extend(each.device.type for each in args if isinstance(each, torch.Tensor))
            torch.ones(1, device="cuda")
            return func(*args, **(kwargs or {}))

    ones = torch.ones(2, device="cuda")
    with Watching():
        assert (ones + 1).is_cuda
    assert seen == ["cuda"]


@case
def a_hook_of_a_tensor_sees_a_gradient_on_cuda() -> None:
    import torch

    seen = []
    for device in ("cuda", "cpu"):
        leaf = torch.ones(2, device=device, requires_grad=True)
        leaf.register_hook(lambda gradient: seen.append(gradient.device.type))
        (leaf * 2).sum().backward()
    assert seen == ["cuda", "cpu"]


@case
def a_wrapper_is_copied_and_saved_with_what_it_wraps() -> None:
    import torch
    from torch.testing._internal.two_tensor import TwoTensor

    two = TwoTensor(torch.ones(2, device="cuda"), torch.zeros(2, device="cuda"))
    copied = copy.deepcopy(two)
    assert copied.is_cuda
    assert copied.a.is_cuda
    file = io.BytesIO()
    torch.save(two, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert loaded.is_cuda
    assert loaded.a.is_cuda


@case
def what_hangs_on_a_tensor_is_copied_onto_cuda_too() -> None:
    import torch

    tensor = torch.ones(2, device="cuda")
    tensor.scale = torch.ones(1, device="cuda")
    copied = copy.deepcopy(tensor)
    assert copied.is_cuda
    assert copied.scale.is_cuda
    assert copied.scale is not tensor.scale


@pytest.fixture(scope="module")
def outcome() -> dict[str, str]:
    return outcomes(__name__)


@pytest.mark.skipif(not has_torch, reason="needs torch")
@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_called_back(name: str, outcome: dict[str, str]) -> None:
    assert outcome[name] == ""
