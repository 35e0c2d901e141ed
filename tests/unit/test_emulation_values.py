"""Tensors on cuda that travel between the processes of a Space arrive on cuda, as on one machine."""

from __future__ import annotations

from typing import Any  # torch is not typed here

import pytest

from tests.unit.emulation_process import Case, has_torch, outcomes

CASES: list[Case] = []


def case(function: Case) -> Case:
    CASES.append(function)
    return function


def echo(value: Any) -> Any:
    from spaces.farm.values.codec import Codec

    codec = Codec(b"k" * 32)
    encoded = codec.encode(value)
    return codec.decode(bytes(encoded.body), [bytes(buffer) for buffer in encoded.buffers])


@case
def a_tensor_arrives_on_its_device_with_its_strides() -> None:
    import torch

    for device in ("cuda:0", "cpu"):
        sent = torch.arange(24.0, device=device).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
        for arrived in (echo(sent), echo([sent, sent])[1], echo({"inner": (sent,)})["inner"][0]):
            assert (str(arrived.device), arrived.stride()) == (device, sent.stride())
            assert torch.equal(arrived, sent)
            assert torch.equal(arrived.cpu(), sent.cpu())


@case
def an_empty_tensor_arrives_on_its_device() -> None:
    import torch

    assert str(echo(torch.empty(0, 3, device="cuda")).device) == "cuda:0"


@case
def a_tensor_with_a_gradient_stays_a_leaf() -> None:
    import torch

    sent = torch.ones(2, device="cuda", requires_grad=True)
    (sent * 3).sum().backward()
    arrived = echo(sent)
    assert (arrived.is_leaf, str(arrived.grad.device), arrived.grad.tolist()) == (True, "cuda:0", [3, 3])


@case
def a_module_arrives_with_its_parameters() -> None:
    import torch

    arrived = echo(torch.nn.Linear(2, 2).to("cuda"))
    assert str(arrived.weight.device) == "cuda:0"
    assert type(arrived.weight) is torch.nn.Parameter
    assert str(arrived(torch.ones(2, device="cuda")).device) == "cuda:0"


@case
def a_process_without_a_gpu_gets_them_on_the_cpu() -> None:
    """A program that calls the functions of a Space."""
    import torch

    from spaces import emulation
    from spaces.farm.values.codec import Codec

    encoded = Codec().encode(torch.ones(2, device="cuda"))
    emulation.leave("cpu")
    assert str(Codec().decode(bytes(encoded.body), [*encoded.buffers]).device) == "cpu"


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    return outcomes(__name__)


@pytest.mark.skipif(not has_torch, reason="torch is not installed")
@pytest.mark.parametrize("name", [each.__name__ for each in CASES])
def test_a_tensor_on_cuda(told: dict[str, str], name: str) -> None:
    assert told[name] == ""
