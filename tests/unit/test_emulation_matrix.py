"""CUDA without a GPU, call by call: a table of calls that Spaces make at import, and their expected results.

All rows run in one process of their own, with the emulation installed before torch is imported. `tests/gpu` asks a
real GPU the same, `tests/official` the official package.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.unit.emulation_scenarios import SCENARIOS

pytestmark = [
    pytest.mark.timeout(600),  # the fixture runs all rows at once
    pytest.mark.skipif(
        any(find_spec(library) is None for library in ("torch", "transformers", "diffusers", "accelerate")),
        reason="needs torch and the libraries that Spaces use with it",
    ),
]

GIB_69_5 = 74_625_056_768

CALLS: dict[str, object] = {
    # torch.cuda: who is there
    "torch.cuda.is_available()": True,
    "torch.cuda.device_count()": 1,
    "torch.cuda.current_device()": 0,
    "torch.cuda.get_device_name()": "NVIDIA H200",
    "torch.cuda.get_device_name(0)": "NVIDIA H200",
    "torch.cuda.get_device_name('cuda:0')": "NVIDIA H200",
    "torch.cuda.get_device_capability()": [9, 0],
    "torch.cuda.get_device_properties(0).name": "NVIDIA H200",
    "torch.cuda.get_device_properties('cuda').major": 9,
    "torch.cuda.get_device_properties(torch.device('cuda')).minor": 0,
    "torch.cuda.get_device_properties(0).total_memory": GIB_69_5,
    "torch.cuda.get_device_properties(0).multi_processor_count": 60,
    "torch.cuda.get_device_properties(0).L2_cache_size > 0": True,
    "len(str(torch.cuda.get_device_properties(0).uuid))": 36,
    "torch.cuda.get_arch_list()": ["sm_90"],
    "torch.cuda.is_bf16_supported()": True,
    "torch.cuda.is_tf32_supported()": True,
    "torch.cuda.can_device_access_peer(0, 0)": False,
    "torch.version.cuda is not None": True,
    "torch.backends.cuda.is_built()": True,
    "torch.backends.cudnn.is_available()": True,
    "torch.cuda._is_in_bad_fork()": False,
    # torch.cuda: what changes nothing
    "torch.cuda.init()": None,
    "torch.cuda.set_device(0)": None,
    "torch.cuda.set_device('cuda:0')": None,
    "torch.cuda.synchronize()": None,
    "torch.cuda.empty_cache()": None,
    "torch.cuda.ipc_collect()": None,
    "torch.cuda.reset_peak_memory_stats()": None,
    "torch.cuda.reset_max_memory_allocated()": None,
    "torch.cuda.set_per_process_memory_fraction(0.5)": None,
    "torch.cuda.nvtx.range_push('a')": None,
    "torch.cuda.nvtx.range_pop()": None,
    "torch.cuda.manual_seed(1)": None,
    "torch.cuda.manual_seed_all(1)": None,
    "torch.cuda.seed_all()": None,
    "torch.cuda.utilization()": 0,
    # torch.cuda: memory
    "torch.cuda.mem_get_info()": [GIB_69_5 - 309_002_240, GIB_69_5],
    "torch.cuda.memory.mem_get_info(0)": [GIB_69_5 - 309_002_240, GIB_69_5],
    "torch.cuda.memory_allocated()": 0,
    "torch.cuda.memory_reserved(0)": 0,
    "torch.cuda.max_memory_allocated()": 0,
    "torch.cuda.max_memory_reserved()": 0,
    "torch.cuda.memory_stats()['allocated_bytes.all.current']": 0,
    "isinstance(torch.cuda.memory_summary(), str)": True,
    # torch.cuda: streams, random numbers, contexts
    "torch.cuda.current_stream().query()": True,
    "torch.cuda.current_stream() == torch.cuda.default_stream()": True,
    "torch.cuda.Stream() == torch.cuda.Stream()": False,
    "torch.cuda.Event().query()": True,
    "type(torch.Stream(device='cuda')).__name__": "Stream",
    "type(torch.Event('cuda', enable_timing=True)).__name__": "Event",
    "torch.cuda.is_current_stream_capturing()": False,
    "torch.cuda.get_rng_state().dtype is torch.uint8": True,
    "len(torch.cuda.get_rng_state_all())": 1,
    "torch.Generator('cuda').device": "cuda",
    "torch.Generator('cuda:0').device": "cuda:0",
    "torch.Generator(device='cuda:0').manual_seed(3).initial_seed()": 3,
    "torch.Generator(device=torch.device('cuda')).device.type": "cuda",
    "torch.Generator().device": "cpu",
    "isinstance(torch.Generator('cuda'), torch.Generator)": True,
    "isinstance(torch.default_generator, torch.Generator)": True,
    "torch.randn(2, generator=torch.Generator('cuda'), device='cuda').device": "cuda:0",
    "torch.cuda.device(0).__enter__().idx": 0,
    "isinstance(torch.cuda.device('cuda'), torch.cuda.device)": True,
    "torch.cuda._utils._get_device_index('cuda:0')": 0,
    "torch.device(0)": "cuda:0",
    # torch.accelerator
    "torch.accelerator.is_available()": True,
    "torch.accelerator.current_accelerator().type": "cuda",
    "torch.accelerator.device_count()": 1,
    "torch.accelerator.current_device_index()": 0,
    "torch.accelerator.set_device_index(0)": None,
    "torch.accelerator.synchronize()": None,
    "torch.accelerator.memory_allocated()": 0,
    "torch.accelerator.current_stream().query()": True,
    # making tensors
    "torch.empty(2, device='cuda').device": "cuda:0",
    "torch.zeros(2, device=0).device": "cuda:0",
    "torch.ones(2, device='cuda:1').device": "cuda:0",
    "torch.tensor([1, 2], device='cuda').device": "cuda:0",
    "torch.tensor(cuda).device": "cuda:0",
    "torch.tensor([cuda[0, 0], cuda[0, 1]]).device": "cpu",
    "torch.as_tensor([1.0], device=torch.device('cuda')).device": "cuda:0",
    "torch.arange(3, device='cuda').device": "cuda:0",
    "torch.randn(2, device='cuda', dtype=torch.float16).dtype": "torch.float16",
    "torch.randn(2, pin_memory=True).device": "cpu",
    "torch.zeros_like(cuda).device": "cuda:0",
    "torch.zeros_like(cuda, device='cpu').device": "cpu",
    "torch.empty_like(cpu, device='cuda').device": "cuda:0",
    "torch.empty_like(cuda, device='meta').device": "meta",
    "cuda.new_zeros(2).device": "cuda:0",
    "torch.nn.Linear(2, 2, device='cuda').weight.device": "cuda:0",
    "torch.nn.Parameter(torch.ones(2, device='cuda')).device": "cuda:0",
    "torch.eye(2, device='cuda').to_sparse().device": "cuda:0",
    # moving tensors
    "cpu.to('cuda').device": "cuda:0",
    "cpu.to(0).device": "cuda:0",
    "cpu.to('cuda:1').device": "cuda:0",
    "cpu.to(device='cuda', dtype=torch.float16).device": "cuda:0",
    "cpu.to(torch.device('cuda'), torch.bfloat16, non_blocking=True).dtype": "torch.bfloat16",
    "cpu.to(cuda).device": "cuda:0",
    "cuda.to(cpu).device": "cpu",
    "cpu.type_as(cuda).device": "cuda:0",
    "cpu.cuda().device": "cuda:0",
    "cpu.cuda(0, non_blocking=True).device": "cuda:0",
    "cuda.to('cpu').device": "cpu",
    "cuda.cpu().device": "cpu",
    "cuda.to(torch.float16).device": "cuda:0",
    "cuda.to('cuda') is cuda": True,
    "cuda.cuda() is cuda": True,
    "cuda.cpu().pin_memory().device": "cpu",
    # asking tensors
    "cuda.device == torch.device('cuda:0')": True,
    "cuda.is_cuda": True,
    "cpu.is_cuda": False,
    "cuda.is_cpu": False,
    "cuda.get_device()": 0,
    "cpu.get_device()": -1,
    "cuda.type()": "torch.cuda.FloatTensor",
    "repr(cuda[0])": "tensor([1., 1.], device='cuda:0')",
    "repr(cuda.half()[0, 0])": "tensor(1., device='cuda:0', dtype=torch.float16)",
    "cuda[0, 0].item()": 1.0,
    "cuda.numpy().tolist()": [[1.0, 1.0], [1.0, 1.0]],
    "cuda.tolist()": [[1.0, 1.0], [1.0, 1.0]],
    "float(cuda.sum())": 4.0,
    # computing
    "(cuda + cuda).device": "cuda:0",
    "(cuda @ cuda).device": "cuda:0",
    "(cuda + 1).device": "cuda:0",
    "(cuda * torch.tensor(2.0)).device": "cuda:0",
    "(cuda + cpu).device": "cuda:0",
    "cuda.half().device": "cuda:0",
    "cuda.bfloat16().dtype": "torch.bfloat16",
    "cuda[0].device": "cuda:0",
    "cuda.view(-1).device": "cuda:0",
    "cuda.t().contiguous().device": "cuda:0",
    "[part.device for part in cuda.split(1)]": ["cuda:0", "cuda:0"],
    "cuda.max(dim=0).values.device": "cuda:0",
    "torch.cat([cuda, cuda]).device": "cuda:0",
    "torch.stack((cuda, cuda)).device": "cuda:0",
    "torch.einsum('ij,jk->ik', cuda, cuda).device": "cuda:0",
    "torch.nn.functional.softmax(cuda, -1).device": "cuda:0",
    "torch.where(cuda > 0, cuda, cuda).device": "cuda:0",
    "cpu.clone().copy_(cuda).device": "cpu",
    "cuda.clone().copy_(cpu).device": "cuda:0",
    "cpu[:1].expand_as(cuda).device": "cpu",
    "torch.fft.fft(cuda).device": "cuda:0",
    "torch.linalg.inv(cuda + torch.eye(2, device='cuda')).device": "cuda:0",
    "torch.ops.aten.add(cuda, cuda).device": "cuda:0",
    "cuda.detach().requires_grad_().device": "cuda:0",
    "cuda.data.device": "cuda:0",
    "torch.no_grad()(lambda: (cuda * 2).device)()": "cuda:0",
    "torch.inference_mode()(lambda: (cuda * 2).device)()": "cuda:0",
    "torch.utils.dlpack.from_dlpack(cuda).tolist()": [[1.0, 1.0], [1.0, 1.0]],
}

REFUSED = [
    "torch.cuda.CUDAGraph()",
    "torch.cuda.graph(None)",
    "torch.cuda.make_graphed_callables(None, ())",
    "torch.cuda.cudart()",
    "torch.cuda.caching_allocator_alloc(1)",
    "torch.cuda._lazy_init()",
]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What each row gave."""
    return answers_of("ours", tmp_path_factory.mktemp("matrix"))


def answers_of(who: str, folder: Path, **variables: str) -> dict[str, object]:
    """By row: its value as JSON, or the error as text, from a process of its own; `who` as in `_run_rows`."""
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TMPDIR": str(folder)}
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.test_emulation_matrix", who],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        env={**os.environ, **offline, **variables},
    )
    assert run.returncode == 0, run.stderr[-1500:]
    answers: dict[str, object] = json.loads(run.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize("call", CALLS)
def test_a_call_answers_as_a_gpu_would(call: str, heard: dict[str, object]) -> None:
    assert heard[call] == CALLS[call]


@pytest.mark.parametrize("call", REFUSED)
def test_what_needs_the_driver_names_line_and_remedy(call: str, heard: dict[str, object]) -> None:
    message = str(heard[call])
    assert message.startswith("EmulationError: ")
    assert "<row>:1" in message
    assert "inside the @spaces.GPU function" in message


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_works_as_on_a_gpu(scenario: str, heard: dict[str, object]) -> None:
    assert heard[scenario] == SCENARIOS[scenario][1]


def _run_rows(who: str) -> None:
    """Print what each row gives: with our emulation, with the official package's, or on a real GPU."""
    match who:
        case "ours":
            from spaces import emulation

            emulation.install()
            assert "torch" not in sys.modules
        case "official":
            import spaces  # noqa: F401 - which patches torch; its folder stands before ours on the path
    import torch

    names = {"torch": torch, "cuda": torch.ones(2, 2, device="cuda"), "cpu": torch.ones(2, 2)}
    heard: dict[str, object] = {}
    for call in [*CALLS, *(REFUSED if who == "ours" else [])]:
        heard[call] = _heard(functools.partial(eval, compile(call, "<row>", "eval"), names))
    for name, (scenario, _) in SCENARIOS.items():
        heard[name] = _heard(scenario)
    print(json.dumps(heard, default=str))


def _heard(act: Callable[[], object]) -> object:
    try:
        return act()
    except Exception as error:  # whatever a row raises is its answer
        return f"{type(error).__name__}: {error}\n{traceback.format_exc()}"


if __name__ == "__main__":
    _run_rows(sys.argv[1])
