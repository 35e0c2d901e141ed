"""How a child gets its weights onto the GPU, as far as it can be seen without one."""

from __future__ import annotations

import pytest

from tests.unit.emulation_process import Case, has_torch, outcomes

CASES: list[Case] = []


def case(function: Case) -> Case:
    CASES.append(function)
    return function


@case
def the_size_counts_each_memory_once() -> None:
    import torch

    from spaces import emulation

    weights = torch.ones(1000, device="cuda")
    views = [weights[100:], weights.view(10, 100)]
    elsewhere = torch.ones(500)
    assert len(views) + len(elsewhere) == 502
    assert emulation.weights_bytes() == 4000


@pytest.fixture(scope="module")
def outcome() -> dict[str, str]:
    return outcomes(__name__)


@pytest.mark.skipif(not has_torch, reason="needs torch")
@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_before_the_gpu(name: str, outcome: dict[str, str]) -> None:
    assert outcome[name] == ""
