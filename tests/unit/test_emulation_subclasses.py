"""Tensor subclasses under the emulation: each goes torch's own way, and its own code sees CUDA as it does on a GPU."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, ClassVar  # torch is not typed here

import pytest

from tests.unit.emulation_process import Case, has_torch, outcomes

CASES: list[Case] = []


def case(function: Case) -> Case:
    CASES.append(function)
    return function


def tagged() -> type[Any]:
    """A subclass without its own code."""
    import torch

    return type("Tagged", (torch.Tensor,), {})


def recording() -> type[Any]:
    """A subclass that writes down every call that torch hands to it, and the device named in it."""
    import torch

    class Recording(torch.Tensor):  # type: ignore[misc]  # torch is untyped here
        heard: ClassVar[list[tuple[str, ...]]] = []

        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            device = [str(each) for each in [*args, *(kwargs or {}).values()] if str(each).startswith(("cuda", "cpu"))]
            cls.heard.append((getattr(func, "__name__", str(func)), *device))
            return super().__torch_function__(func, types, args, kwargs or {})

    return Recording


def quantized() -> type[Any]:
    """A subclass that wraps integers and a scale, as quantising libraries have them."""
    import torch
    from torch.utils._pytree import tree_map_only

    class Quantized(torch.Tensor):  # type: ignore[misc]  # torch is untyped here
        data_: Any
        scale: Any

        @staticmethod
        def __new__(cls: Any, data: Any, scale: Any) -> Any:
            return torch.Tensor._make_wrapper_subclass(cls, data.shape, dtype=scale.dtype, device=data.device)

        def __init__(self, data: Any, scale: Any) -> None:
            self.data_, self.scale = data, scale

        @staticmethod
        def of(weight: Any) -> Any:
            scale = weight.abs().amax() / 127
            return Quantized((weight / scale).round().to(torch.int8), scale)

        def plain(self) -> Any:
            assert self.data_.device == self.scale.device
            return torch.ones((), device=self.data_.device) * self.data_.to(self.scale.dtype) * self.scale

        def __tensor_flatten__(self) -> Any:
            return ["data_", "scale"], None

        @staticmethod
        def __tensor_unflatten__(inner: Any, _context: Any, _size: Any, _stride: Any) -> Any:
            return Quantized(inner["data_"], inner["scale"])

        @classmethod
        def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            aten = torch.ops.aten
            if func in (aten.detach.default, aten.clone.default, aten._to_copy.default, aten.alias.default):
                kwargs = {**(kwargs or {}), "dtype": None} if func is aten._to_copy.default else {}
                return cls(func(args[0].data_, **kwargs), func(args[0].scale, **kwargs))
            plain = tree_map_only(Quantized, Quantized.plain, (args, kwargs or {}))
            return func(*plain[0], **plain[1])

    return Quantized


def calls(tensor: Any) -> dict[str, Callable[[], Any]]:
    """One call of each kind that the emulation handles specially, and some that it does not."""
    import torch

    return {
        "device": lambda: tensor.device.type,
        "is_cuda": lambda: tensor.is_cuda,
        "is_cpu": lambda: tensor.is_cpu,
        "get_device": tensor.get_device,
        "to dtype": lambda: tensor.to(torch.float64),
        "to device": lambda: tensor.to("cpu"),
        "to other": lambda: tensor.to(torch.ones(1, dtype=torch.float64)),
        "cpu": tensor.cpu,
        "type": lambda: tensor.type(torch.float64),
        "type as": lambda: tensor.type_as(torch.ones(1, dtype=torch.float64)),
        "repr": lambda: repr(tensor),
        "str": lambda: str(tensor),
        "tensor": lambda: torch.tensor(tensor),
        "is_pinned": tensor.is_pinned,
        "share_memory_": lambda: tensor.clone().share_memory_(),
        "grad": lambda: tensor.grad,
        "data": lambda: tensor.data,
        "detach": tensor.detach,
        "requires_grad": lambda: tensor.requires_grad,
        "shape": lambda: tensor.shape,
        "add": lambda: tensor + 1,
        "add to": lambda: torch.ones(2) + tensor,
        "cat": lambda: torch.cat([torch.ones(2), tensor]),
        "max": lambda: tensor.max(0),
        "zeros_like": lambda: torch.zeros_like(tensor),
        "new_zeros": lambda: tensor.new_zeros(3),
        "new_tensor": lambda: tensor.new_tensor([1.0]),
        "clone": tensor.clone,
        "copy_": lambda: tensor.clone().copy_(torch.zeros(2)),
        "numpy": lambda: tensor.numpy().tolist(),
        "item": lambda: tensor[0].item(),
        "tolist": tensor.tolist,
        "len": lambda: len(tensor),
        "iter": lambda: list(tensor),
        "index": lambda: tensor[:1],
        "set item": lambda: tensor.clone().__setitem__(0, 5.0),
        "untyped_storage": lambda: tensor.untyped_storage().nbytes(),
        "deepcopy": lambda: copy.deepcopy(tensor),
        "softmax": lambda: torch.nn.functional.softmax(tensor, 0),
        "pad": lambda: torch.nn.functional.pad(tensor, (1, 1)),
        "norm": lambda: torch.norm(tensor),
        "allclose": lambda: torch.allclose(tensor, tensor),
        "where": lambda: torch.where(tensor > 1, tensor, tensor),
        "unique": lambda: torch.unique(tensor),
        "split": lambda: torch.split(tensor, 1),
        "is_floating_point": lambda: torch.is_floating_point(tensor),
    }


def told(call: Callable[[], Any]) -> Any:
    """The comparable part of a call's result."""
    import torch

    def seen(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [seen(each) for each in value]
        if isinstance(value, torch.Tensor):
            with torch._C.DisableTorchFunction():
                return [type(value).__name__, str(value.dtype), value.tolist()]
        return value

    try:
        return seen(call())
    except Exception as error:  # an error of torch's own is an answer like another
        return f"{type(error).__name__}: {error}"


@case
def a_subclass_without_code_gives_what_torch_gives() -> None:
    import torch

    from spaces.emulation.dispatch.mode import paused

    tensor = torch.tensor([1.0, 2.0]).as_subclass(tagged())
    with paused():
        expected = {name: told(call) for name, call in calls(tensor).items()}
    assert {name: told(call) for name, call in calls(tensor).items()} == expected


@case
def a_subclass_hears_of_each_call_what_torch_tells() -> None:
    import torch

    from spaces.emulation.dispatch.mode import paused

    def heard(name: str) -> Any:
        tensor = torch.tensor([1.0, 2.0]).as_subclass(recording())
        call = calls(tensor)[name]
        type(tensor).heard.clear()
        told(call)
        return list(type(tensor).heard)

    for name in calls(torch.ones(2)):
        with paused():
            expected = heard(name)
        assert heard(name) == expected, name


@case
def results_on_cuda_have_the_types_that_they_have_on_the_cpu() -> None:
    import torch

    kind = tagged()
    on_cpu, on_cuda = calls(torch.ones(2).as_subclass(kind)), calls(torch.ones(2, device="cuda").as_subclass(kind))
    for name in on_cpu:
        if name not in ("numpy", "repr", "str", "device", "is_cuda", "is_cpu", "get_device"):
            assert told(on_cuda[name]) == told(on_cpu[name]), name


@case
def a_subclass_is_printed_wherever_it_is() -> None:
    """One handler went past torch's own way for subclasses: `unsupported format string passed to Tagged.__format__`."""
    import torch

    tensor = torch.ones(1).as_subclass(tagged())
    assert f"{tensor}" == "Tagged([1.])"
    assert str(tensor.cuda()) == "Tagged([1.], device='cuda:0')"
    assert repr(torch.nn.Parameter(tensor)) == "Parameter(Tagged([1.], requires_grad=True))"


@case
def a_subclass_moves_and_stays_one() -> None:
    import torch

    kind = tagged()
    tensor = torch.ones(2).as_subclass(kind)
    for moved in (tensor.to("cuda"), tensor.cuda(), tensor.to(0), tensor.to(torch.ones(1, device="cuda"))):
        assert type(moved) is kind
        assert moved.is_cuda
        assert type(moved + 1) is kind
        assert (moved + 1).is_cuda
        assert type(moved.cpu()) is kind
        assert not moved.cpu().is_cuda
    assert not tensor.is_cuda


@case
def code_of_a_subclass_is_asked_with_the_device_that_was_said_and_sees_cuda() -> None:
    import torch

    seen = []

    class Curious(torch.Tensor):  # type: ignore[misc]  # torch is untyped here
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.Tensor.to:
                seen.append((args[1:], torch.empty(1, device="cuda").device.type))
            return super().__torch_function__(func, types, args, kwargs or {})

    assert torch.ones(1).as_subclass(Curious).to("cuda").is_cuda
    assert seen == [(("cuda",), "cuda")]


@case
def a_subclass_that_refuses_a_call_refuses_it_in_torchs_words() -> None:
    import torch

    class Refusing(torch.Tensor):  # type: ignore[misc]  # torch is untyped here
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return NotImplemented

    with pytest.raises(TypeError, match="__torch_function__"):
        torch.add(torch.ones(1, device="cuda"), torch.ones(1).as_subclass(Refusing))


@case
def a_class_that_is_no_tensor_is_asked_too() -> None:
    import torch

    class Lazy:
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func.__name__, torch.ones(1, device="cuda").device.type

    assert torch.add(torch.ones(1), Lazy()) == ("add", "cuda")


@case
def an_older_subclass_that_sets_every_torch_function_aside_moves_too() -> None:
    import torch

    class Older(torch.Tensor):  # type: ignore[misc]  # torch is untyped here
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            with torch._C.DisableTorchFunction():
                result = func(*args, **(kwargs or {}))
            return result.as_subclass(cls) if isinstance(result, torch.Tensor) else result

    moved = torch.ones(1).as_subclass(Older).to("cuda")
    assert moved.is_cuda
    assert (moved + 1).is_cuda
    assert moved.device.type == "cuda"


@case
def quantised_after_the_move_a_weight_is_on_cuda() -> None:
    """A wrapper was made with the device of its inner tensors, which C++ took as real: SIGABRT, or unequal storages."""
    import torch

    kind = quantized()
    linear = torch.nn.Linear(4, 4).to("cuda")
    linear.weight = torch.nn.Parameter(kind.of(linear.weight.detach()), requires_grad=False)
    assert linear.weight.device.type == linear.weight.data_.device.type == linear.weight.scale.device.type == "cuda"
    assert type(linear.weight) is kind
    assert linear(torch.ones(1, 4, device="cuda")).is_cuda
    assert "cuda:0" in repr(linear.weight.data_)


@case
def quantised_before_the_move_a_weight_is_on_cuda_with_all_that_it_wraps() -> None:
    import torch

    kind = quantized()
    linear = torch.nn.Linear(4, 4)
    linear.weight = torch.nn.Parameter(kind.of(linear.weight.detach()), requires_grad=False)
    expected = linear.weight.plain()
    linear.to("cuda")
    assert linear.weight.device.type == linear.weight.data_.device.type == linear.weight.scale.device.type == "cuda"
    assert torch.equal(linear.weight.plain().cpu(), expected)
    back = linear.weight.cpu()
    assert back.device.type == back.data_.device.type == "cpu"
    assert linear.weight.data_.is_cuda


@case
def a_wrapper_made_inside_a_function_of_autograd_is_no_end_of_the_process() -> None:
    """How optimum-quanto makes its weights; the script ended by SIGABRT, with no line named."""
    import torch

    kind = quantized()

    class Quantise(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped here
        @staticmethod
        def forward(_context: Any, weight: Any) -> Any:
            return kind.of(weight)

        @staticmethod
        def backward(_context: Any, gradient: Any) -> Any:
            return gradient

    made = Quantise.apply(torch.nn.Parameter(torch.ones(4, device="cuda")))
    assert made.is_cuda
    assert made.requires_grad
    assert (made * 2).is_cuda


@case
def a_wrapper_is_copied_pickled_and_hashed() -> None:
    import torch

    weight = quantized().of(torch.ones(2, device="cuda"))
    assert copy.deepcopy(weight.data_).is_cuda
    assert pickle.loads(pickle.dumps(weight.data_)).is_cuda
    assert len({weight, weight}) == 1


@case
def wrapped_weights_are_counted_once_and_dropped() -> None:
    import torch

    from spaces import emulation

    weight = quantized().of(torch.ones(1000, device="cuda"))
    assert emulation.weights_bytes() == 1000 + 4
    emulation.drop_weights()
    assert weight.device.type == "cuda"
    assert weight.shape == (1000,)
    with pytest.raises(emulation.EmulationError, match=r"test_emulation_subclasses\.py:"):
        weight + 1
    with pytest.raises(emulation.EmulationError, match=r"test_emulation_subclasses\.py:"):
        weight.data_ + 1


@case
def wrapped_weights_move_to_the_real_device_and_stay_the_same_objects() -> None:
    """Torch's device without memory stands in for the GPU that no test has."""
    import torch

    from spaces import emulation
    from spaces.emulation.tensors import weights

    kind = quantized()
    linear = torch.nn.Linear(4, 4).to("cuda")
    linear.weight = weight = torch.nn.Parameter(kind.of(linear.weight.detach()), requires_grad=False)
    assert any(each is weight for each in emulation.tracked())
    emulation.leave("cpu")
    assert kind.__torch_dispatch__.__module__ == __name__
    assert "_make_wrapper_subclass" not in vars(torch.Tensor)
    assert linear(torch.ones(1, 4)).shape == (1, 4)
    weights.move_alone([weight], torch.device("meta"))
    assert linear.weight is weight
    assert type(weight) is kind
    assert weight.device.type == weight.data_.device.type == weight.scale.device.type == "meta"


@case
def a_copied_name_of_what_makes_wrappers_makes_real_ones_after_leaving() -> None:
    import torch

    from spaces import emulation

    make, kind = torch.Tensor._make_wrapper_subclass, quantized()
    emulation.leave("cpu")
    assert make(kind, (2,), device="meta").device.type == "meta"


@case
def lazy_modules_are_made_on_cuda() -> None:
    import torch

    lazy = torch.nn.LazyLinear(3, device="cuda")
    assert lazy.weight.device.type == "cuda"
    assert lazy(torch.ones(1, 2, device="cuda")).is_cuda
    assert lazy.weight.is_cuda
    moved = torch.nn.LazyLinear(3).to("cuda")
    assert moved(torch.ones(1, 2, device="cuda")).is_cuda
    assert moved.weight.is_cuda


@case
def subclasses_of_torchs_own_live_on_cuda() -> None:
    import torch
    from torch.nn.attention.bias import causal_lower_right

    jagged = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)], layout=torch.jagged, device="cuda")
    assert jagged.is_cuda
    assert (jagged * 2).values().is_cuda
    assert jagged.to_padded_tensor(0.0).is_cuda
    assert [each.device.type for each in jagged.unbind()] == ["cuda", "cuda"]
    query = torch.ones(1, 1, 4, 8, device="cuda")
    assert torch.nn.functional.scaled_dot_product_attention(query, query, query, causal_lower_right(4, 4)).is_cuda
    masked = torch.masked.masked_tensor(torch.ones(2, device="cuda"), torch.tensor([True, False], device="cuda"))
    assert masked.is_cuda
    assert (masked + 1).get_data().is_cuda


@pytest.fixture(scope="module")
def outcome() -> dict[str, str]:
    return outcomes(__name__)


@pytest.mark.skipif(not has_torch, reason="needs torch")
@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_with_subclasses(name: str, outcome: dict[str, str]) -> None:
    assert outcome[name] == ""
