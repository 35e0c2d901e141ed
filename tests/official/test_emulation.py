"""CUDA at import, compared with the official package: ours gives the same answers, or those of a real GPU.

It needs a torch that is built for CUDA, though no GPU: the official package cannot be imported with another.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.unit.emulation_scenarios import SCENARIOS
from tests.unit.test_emulation_matrix import CALLS, answers_of

EXPECTED = CALLS | {name: given for name, (_, given) in SCENARIOS.items()}

#: Rows that the official package answers otherwise than a GPU, which answers as ours (`tests/gpu`).
WRONG_THERE = [
    "len(torch.cuda.get_rng_state_all())",
    "torch.tensor([cuda[0, 0], cuda[0, 1]]).device",
    "cpu.to(cuda).device",
    "cpu.type_as(cuda).device",
    "cuda.is_cuda",
    "cuda.is_cpu",
    "cuda.get_device()",
    "cuda.type()",
    "repr(cuda[0])",
    "repr(cuda.half()[0, 0])",
    "transformers_generate",
    "a_moved_tensor_is_a_copy",
    "a_tensor_brought_back_is_a_copy",
    "packed_sequences_keep_lengths_on_the_cpu",
]

#: Rows where ours is neither the official package's answer nor a GPU's.
OURS_ALONE = {
    "torch.cuda.get_arch_list()": "that of the emulated card, not all that torch was built for",
    "torch.cuda.nvtx.range_push('a')": "no number, for nobody profiles at import",
    "torch.cuda.nvtx.range_pop()": "no number, for nobody profiles at import",
    "old_default_tensor_type": "follows the type, which an earlier row's default device outweighs there",
}


@pytest.fixture(scope="module")
def official_answers(official: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What each row gives under the official package's emulation."""
    if version("torch").endswith("+cpu"):
        pytest.skip("needs a torch that is built for CUDA")
    on = {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9"}
    path = os.pathsep.join([str(official), os.environ.get("PYTHONPATH", "")])
    return answers_of("official", tmp_path_factory.mktemp("rows"), PYTHONPATH=path, **on)


@pytest.mark.timeout(900)  # its fixture runs all rows at once
@pytest.mark.parametrize("row", EXPECTED)
def test_what_the_official_package_answers_is_what_ours_does(row: str, official_answers: dict[str, object]) -> None:
    answer = official_answers[row]
    if row in WRONG_THERE or row in OURS_ALONE:
        assert answer != EXPECTED[row], f"{row} is not different any more"
    elif not _is_error(answer):  # where it raises, ours goes further
        assert answer == EXPECTED[row]


def _is_error(answer: object) -> bool:
    return isinstance(answer, str) and "Traceback (most recent call last)" in answer
