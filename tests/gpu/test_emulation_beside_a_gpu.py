"""The table of what emulated CUDA answers, asked of the real one."""

from __future__ import annotations

import pytest

from spaces_workers.gpu.devices import Device
from tests.unit.emulation_scenarios import SCENARIOS
from tests.unit.test_emulation_matrix import CALLS, answers_of

EXPECTED = CALLS | {name: given for name, (_, given) in SCENARIOS.items()}

#: Where a real GPU answers otherwise, and why the emulation does not.
DIFFERENT = {
    **dict.fromkeys(
        [row for row in CALLS if "get_device_name" in row or "total_memory" in row or "mem_get_info" in row],
        "every card has its own",
    ),
    "torch.cuda.get_device_properties(0).name": "every card has its own",
    "torch.cuda.get_device_properties(0).multi_processor_count": "every card has its own",
    "torch.cuda.get_arch_list()": "those that torch was built for; here that of the emulated card",
    "torch.cuda.utilization()": "something is computed there",
    **dict.fromkeys(
        [row for row in CALLS if "memory_allocated" in row or "memory_reserved" in row or "memory_stats" in row],
        "the rows themselves hold memory there; at import nothing of a GPU is held",
    ),
    "torch.cuda.nvtx.range_push('a')": "a number that says whether somebody profiles",
    "torch.cuda.nvtx.range_pop()": "a number that says whether somebody profiles",
    "torch.cuda.device(0).__enter__().idx": "the context's value is None there, and nobody asks",
    "torch.ones(2, device='cuda:1').device": "one GPU is all that a function has; the official package maps it too",
    "cpu.to('cuda:1').device": "one GPU is all that a function has; the official package maps it too",
    "cuda.numpy().tolist()": "allowed at import by the official package too",
    "(cuda + cpu).device": "a mark may be missing where C++ makes a tensor: right code must not fail",
    "old_default_tensor_type": "there the default device of an earlier row outweighs it",
    "diffusers_layerwise_casting_to_float8": "CPU kernels mix types that those of a GPU refuse",
}


@pytest.fixture(scope="module")
def real(device: Device, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What each row gives on the GPU."""
    return answers_of("real", tmp_path_factory.mktemp("real"))


@pytest.mark.timeout(600)  # its fixture runs all rows at once
@pytest.mark.parametrize("row", [row for row in EXPECTED if row not in DIFFERENT])
def test_a_gpu_answers_as_its_emulation(row: str, real: dict[str, object]) -> None:
    assert real[row] == EXPECTED[row]
