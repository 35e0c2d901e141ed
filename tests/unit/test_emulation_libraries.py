"""Libraries that look for CUDA past torch: each works, or is refused with the line of the Space.

The libraries here are stand-ins, of a few lines each, with the access pattern of the real one. The real ones run in
`tests/spaces/libraries`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from spaces.emulation.libraries.host_driver import host_has_driver
from tests.unit.emulation_process import has_torch

needs_torch = pytest.mark.skipif(not has_torch, reason="needs torch")
without_driver = pytest.mark.skipif(host_has_driver(), reason="asks what a host without the driver gives")

BITSANDBYTES = {
    "bitsandbytes/__init__.py": """
        import torch
        from . import cuda_specs, functional
        native = "cuda" if cuda_specs.get_cuda_specs() else "cpu"
        if torch.cuda.is_available():
            raw_stream = torch._C._cuda_getCurrentRawStream
        """,
    "bitsandbytes/cuda_specs.py": """
        import torch
        def get_cuda_specs():
            return torch.cuda.get_device_capability() if torch.cuda.is_available() else None
        """,
    "bitsandbytes/functional.py": """
        def get_paged(*shape):
            raise OSError("no managed memory")
        """,
}
TRITON_NEW = {
    "triton/__init__.py": "from .runtime import driver",
    "triton/runtime/__init__.py": "from .driver import driver",
    "triton/backends/__init__.py": "",
    "triton/backends/compiler.py": """
        import collections
        GPUTarget = collections.namedtuple("GPUTarget", "backend arch warp_size")
        """,
    "triton/runtime/driver.py": """
        class DriverConfig:
            def __init__(self):
                self._default = self._active = None
            @property
            def default(self):
                raise AssertionError("libcuda.so cannot found!")
            @property
            def active(self):
                if self._active is None:
                    self._active = self.default
                return self._active
        driver = DriverConfig()
        """,
}
TRITON_OLD = TRITON_NEW | {
    "triton/runtime/driver.py": """
        class LazyProxy:
            def __getattr__(self, name):
                raise AssertionError("libcuda.so cannot found!")
        class DriverConfig:
            def __init__(self):
                self.default = LazyProxy()
                self.active = self.default
        driver = DriverConfig()
        """,
}
NUMBA = {
    "numba/__init__.py": "",
    "numba/cuda/__init__.py": """
        from numba.cuda.cudadrv.driver import driver
        def is_available():
            return driver.is_available
        def to_device(array):
            return driver.cuMemAlloc(array)
        def as_cuda_array(tensor):
            raise TypeError("*obj* doesn't implement the cuda array interface.")
        """,
    "numba/cuda/cudadrv/__init__.py": "",
    "numba/cuda/cudadrv/driver.py": """
        class Driver:
            def __init__(self):
                self.is_initialized, self.initialization_error = False, None
            def ensure_initialized(self):
                if not self.is_initialized:
                    self.is_initialized, self.initialization_error = True, "CUDA driver library cannot be found."
                    raise OSError(self.initialization_error)
            @property
            def is_available(self):
                self.ensure_initialized()
                return self.initialization_error is None
            def __getattr__(self, name):
                self.ensure_initialized()
        driver = Driver()
        """,
}
CUPY = {
    "cupy/__init__.py": """
        from cupy import cuda
        def ones(size):
            cuda.runtime.check_status(35)
        def zeros(size):
            return cuda.get_allocator()(size)
        def from_dlpack(tensor):
            raise TypeError("CPU arrays cannot be directly imported to CuPy.")
        """,
    "cupy/cuda/__init__.py": """
        from . import driver, runtime
        _allocator = lambda size: "memory"
        def get_allocator():
            return _allocator
        def set_allocator(allocator):
            global _allocator
            _allocator = allocator
        def is_available():
            runtime.check_status(35)
        """,
    "cupy/cuda/driver.py": """
        class CUDADriverError(RuntimeError):
            pass
        """,
    "cupy/cuda/runtime.py": """
        class CUDARuntimeError(RuntimeError):
            def __init__(self, status):
                self.status = status
                super(CUDARuntimeError, self).__init__("cudaErrorInsufficientDriver")
        def check_status(status):
            raise CUDARuntimeError(status)
        """,
}
ONNXRUNTIME = {
    "onnxruntime/__init__.py": "from onnxruntime.capi.onnxruntime_inference_collection import *",
    "onnxruntime/capi/__init__.py": "",
    "onnxruntime/capi/onnxruntime_inference_collection.py": """
        class C:
            @staticmethod
            def get_available_providers():
                return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
        class Session:
            def get_providers(self):
                return self._providers
            def set_providers(self, providers=None, provider_options=None):
                self._create_inference_session(providers, provider_options)
        class InferenceSession(Session):
            def __init__(self, model, sess_options=None, providers=None, provider_options=None):
                self.made = []
                self._create_inference_session(providers, provider_options)
            def _create_inference_session(self, providers, provider_options, disabled_optimizers=None):
                self.made.append((providers, provider_options))
                names = [each if isinstance(each, str) else each[0] for each in providers or []]
                self._providers = list(dict.fromkeys([*names, "CPUExecutionProvider"]))
        class OrtValue:
            @staticmethod
            def ortvalue_from_numpy(array, device_type="cpu", device_id=0):
                return array, device_type
        """,
}


Prints = Callable[[dict[str, str], str], str]
XFORMERS = {
    "xformers/__init__.py": "",
    "xformers/ops/__init__.py": "from .fmha import memory_efficient_attention",
    "xformers/ops/fmha.py": """
        def memory_efficient_attention(query, key, value, attn_bias=None, p=0.0, scale=None, *, op=None):
            raise NotImplementedError("No operator found")
        """,
}
FLASH_ATTN = {
    "flash_attn/__init__.py": "from .flash_attn_interface import flash_attn_func",
    "flash_attn/flash_attn_interface.py": """
        class flash_attn_gpu:
            def fwd(*tensors):
                raise RuntimeError("Input must be on CUDA device")
        def flash_attn_func(query, key, value):
            return flash_attn_gpu.fwd(query, key, value)
        """,
}


@pytest.fixture
def prints(tmp_path: Path) -> Prints:
    """The output of a Space with this stand-in module and script, under emulated CUDA."""

    def run(library: dict[str, str], text: str) -> str:
        for name, code in library.items():
            file = tmp_path / "library" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(code))
        app = tmp_path / "space" / "app.py"
        app.parent.mkdir()
        app.write_text("from spaces import emulation\nemulation.install()\n" + textwrap.dedent(text).lstrip("\n"))
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "library")}
        done = subprocess.run([sys.executable, app], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def refused(line: int) -> re.Pattern[str]:
    """A refusal that names a line of the Space's script, and the remedy."""
    return re.compile(rf".*needs a real GPU.*/space/app\.py:{line}\).*inside the @spaces.GPU function", re.DOTALL)


@needs_torch
def test_every_function_that_only_a_build_for_cuda_has_is_there() -> None:
    """bitsandbytes copies `torch._C._cuda_getCurrentRawStream` at its import, which therefore failed, as did peft's."""
    printed = subprocess.run(
        [sys.executable, "-"],
        input=textwrap.dedent("""
            import pathlib, re
            from spaces import emulation
            emulation.install()
            import torch
            stub = (pathlib.Path(torch.__file__).parent / "_C" / "__init__.pyi").read_text()
            names = re.findall(r"^(?:def|class) (_cuda_(?!CUDAAllocator)\\w+)", stub, re.M)
            assert len(names) > 50
            print([name for name in names if not hasattr(torch._C, name)])
            print(torch._C._cuda_getCurrentRawStream(0), torch._C._cuda_getDeviceCount(), torch.cuda._is_compiled())
            print(torch._C._cuda_getCurrentStream(0), torch._C._cuda_exchangeDevice(0), torch.cuda.tunable.is_enabled())
            """),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.splitlines() == ["[]", "0 1 True", "(0, 0, 1) 0 False"]


@needs_torch
def test_bitsandbytes_is_imported_with_the_native_library_of_torchs_build(prints: Prints) -> None:
    printed = prints(
        BITSANDBYTES,
        """
        import torch, bitsandbytes
        print(bitsandbytes.native == ("cuda" if torch._C._has_cuda else "cpu"), bitsandbytes.raw_stream(0))
        try:
            bitsandbytes.functional.get_paged(4)
        except emulation.EmulationError as error:
            print(error)
        """,
    )
    first, second = printed.splitlines()
    assert first == "True 0"
    assert refused(6).match(second)


@pytest.mark.parametrize("triton", [TRITON_NEW, TRITON_OLD], ids=["since 3.5", "before"])
def test_triton_answers_for_the_gpu_and_launches_nothing(triton: dict[str, str], prints: Prints) -> None:
    printed = prints(
        triton,
        """
        import triton
        active = triton.runtime.driver.active
        print(*active.get_current_target(), active.get_current_device(), active.get_device_capability())
        print(active.utils.get_device_properties(0)["multiprocessor_count"])
        unheard = lambda: active.unheard_of
        for call in (active.launcher_cls, active.get_benchmarker(), active.utils.load_binary, unheard):
            try:
                call()
            except emulation.EmulationError as error:
                print(error)
        emulation.leave("cpu")
        try:
            triton.runtime.driver.active.get_current_target()
        except AssertionError as error:
            print(error)
        """,
    )
    answers, processors, *refusals, after = printed.splitlines()
    assert answers == "cuda 90 32 0 (9, 0)"
    assert processors == "60"
    assert [bool(refused(10).match(each)) for each in refusals] == [True, True, True, False]
    assert refused(7).match(refusals[3])
    assert after == "libcuda.so cannot found!"


@without_driver
def test_numba_does_not_start_the_driver_of_a_process_that_is_forked(prints: Prints) -> None:
    printed = prints(
        NUMBA,
        """
        from numba import cuda
        print(cuda.is_available())
        for call in (cuda.to_device, cuda.as_cuda_array):
            try:
                call([1.0])
            except emulation.EmulationError as error:
                print(error)
        print(cuda.driver.is_initialized)
        emulation.leave("cpu")
        try:
            cuda.to_device([1.0])
        except OSError as error:
            print(error)
        """,
    )
    available, *refusals, started, after = printed.splitlines()
    assert available == "False"
    assert all(refused(7).match(each) for each in refusals)
    assert started == "False"
    assert after == "CUDA driver library cannot be found."


@without_driver
def test_cupy_is_refused_with_the_line_and_has_its_memory_again_in_a_child(prints: Prints) -> None:
    printed = prints(
        CUPY,
        """
        import cupy
        print(cupy.cuda.is_available())
        for call in (cupy.ones, cupy.zeros, cupy.from_dlpack):
            try:
                call(3)
            except emulation.EmulationError as error:
                print(isinstance(error, cupy.cuda.runtime.CUDARuntimeError), error)
        emulation.leave("cpu")
        print(cupy.zeros(3), cupy.cuda.runtime.CUDARuntimeError.__mro__[1].__name__)
        """,
    )
    available, *refusals, after = printed.splitlines()
    assert available == "False"
    assert [each.split()[0] for each in refusals] == ["True", "False", "False"]
    assert all(refused(7).match(each) for each in refusals)
    assert after == "memory RuntimeError"


@without_driver
@pytest.mark.skipif(find_spec("pynvml") is None, reason="needs nvidia-ml-py")
def test_nvml_answers_for_the_emulated_gpu(prints: Prints) -> None:
    printed = prints(
        {},
        """
        import pynvml
        pynvml.nvmlInit()
        gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
        memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
        print(pynvml.nvmlDeviceGetCount(), pynvml.nvmlDeviceGetName(gpu), memory.total == memory.free, memory.used)
        print(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu, pynvml.nvmlDeviceGetUUID(gpu)[:4])
        try:
            pynvml.nvmlDeviceGetEccMode(gpu)
        except emulation.EmulationError as error:
            print(error)
        emulation.leave("cpu")
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            print(error)
        """,
    )
    device, idle, refusal, after = printed.splitlines()
    assert device == "1 NVIDIA H200 True 0"
    assert idle == "0 GPU-"
    assert refused(10).match(refusal)
    assert after == "NVML Shared Library Not Found"


def test_a_session_of_onnxruntime_asks_for_cuda_and_has_it_once_there_is_some(prints: Prints) -> None:
    printed = prints(
        ONNXRUNTIME,
        """
        from onnxruntime import InferenceSession, OrtValue
        cuda = ("CUDAExecutionProvider", {"device_id": 0})
        sessions = [
            InferenceSession(b"", providers=[cuda, "CPUExecutionProvider"]),
            InferenceSession(b"", providers=["CUDAExecutionProvider"], provider_options=[{"device_id": 0}]),
            InferenceSession(b"", providers=["CPUExecutionProvider"]),
            InferenceSession(b""),
        ]
        for session in sessions:
            print(session.made, session.get_providers())
        print(OrtValue.ortvalue_from_numpy(1))
        try:
            OrtValue.ortvalue_from_numpy(1, "cuda", 0)
        except emulation.EmulationError as error:
            print(error)
        emulation.leave("cpu")
        for session in sessions:
            print(session.made[1:], session.get_providers()[0])
        """,
    )
    *made, on_cpu, refusal, first, second, third, fourth = printed.splitlines()
    cpu, cuda = "'CPUExecutionProvider'", "'CUDAExecutionProvider'"
    assert made[0] == f"[([{cpu}], None)] [{cuda}, {cpu}]"
    assert made[1] == f"[([{cpu}], None)] [{cuda}, {cpu}]"
    assert made[2] == f"[([{cpu}], None)] [{cpu}]"
    assert made[3] == f"[(None, None)] [{cpu}]"
    assert on_cpu == "(1, 'cpu')"
    assert refused(15).match(refusal)
    assert first == f"[([({cuda}, {{'device_id': 0}}), {cpu}], None)] CUDAExecutionProvider"
    assert second == f"[([{cuda}], [{{'device_id': 0}}])] CUDAExecutionProvider"
    assert third == fourth == "[] CPUExecutionProvider"


@needs_torch
def test_attention_of_xformers_is_torchs(prints: Prints) -> None:
    """`pipe.enable_xformers_memory_efficient_attention()` tries it with the shape of the first line."""
    printed = prints(
        XFORMERS,
        """
        import torch, xformers.ops
        attend = xformers.ops.memory_efficient_attention
        three = torch.randn((1, 2, 40), device="cuda")
        print(attend(three, three, three).device, list(attend(three, three, three).shape))
        query, key = torch.randn(2, 4, 3, 8, device="cuda"), torch.randn(2, 5, 3, 8, device="cuda")
        weights = torch.einsum("bmhk,bnhk->bhmn", query, key) * 0.5
        expected = torch.einsum("bhmn,bnhk->bmhk", weights.softmax(-1), key)
        print(torch.allclose(attend(query, key, key, scale=0.5), expected, atol=1e-5))

        class Bias:
            def materialize(self, shape, dtype, device):
                return torch.zeros(shape, dtype=dtype, device=device)

        print(torch.allclose(attend(query, key, key, Bias(), scale=0.5), expected, atol=1e-5))
        print(list(attend(query.unsqueeze(2), key.unsqueeze(2), key.unsqueeze(2)).shape))
        """,
    )
    assert printed.splitlines() == ["cuda:0 [1, 2, 40]", "True", "True", "[2, 4, 1, 3, 8]"]


def test_a_kernel_of_flash_attn_is_refused_with_the_line(prints: Prints) -> None:
    printed = prints(
        FLASH_ATTN,
        """
        import flash_attn
        try:
            flash_attn.flash_attn_func(1, 2, 3)
        except emulation.EmulationError as error:
            print(error)
        """,
    )
    assert refused(5).match(printed)


def test_in_a_child_without_a_gpu_the_farm_is_named_as_what_lacks_one(prints: Prints) -> None:
    """A function read "Move it inside the @spaces.GPU function", where it was."""
    printed = prints(
        TRITON_NEW,
        """
        import triton
        emulation.stay()
        try:
            triton.runtime.driver.active.launcher_cls()
        except emulation.EmulationError as error:
            print(error)
        """,
    )
    assert "/space/app.py:6)" in printed
    assert "this worker has none" in printed
    assert "Move it" not in printed
