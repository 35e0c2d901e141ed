"""Ahead-of-time compilation without a farm: on the CPU, once, and from then on out of the cache."""

from __future__ import annotations

import copy
import io
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import spaces
from spaces.aoti import cache
from spaces.aoti.elf import forbid_executable_stack

pytest.importorskip("torch")
pytest.importorskip("huggingface_hub")

import huggingface_hub
import torch
from torch.utils._pytree import tree_map_only

from spaces.aoti import compiling, exporting
from spaces.aoti.compiled_weights import KeptWeights
from spaces.aoti.model import CompiledModel
from spaces.aoti.official_names import LazyAOTIModel, ZeroGPUCompiledModel, ZeroGPUWeights, drain_module_parameters
from spaces.aoti.package import Package
from tests.waiting import PATIENCE

# Torch warns of its own pickles, and of its own use of TorchScript.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

NAME = f"program-{'0' * 64}"


class Block(torch.nn.Module):  # type: ignore[misc] # torch is untyped here
    """A block with parameters, a buffer outside the state, and a constant in its code."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.register_buffer("shift", torch.full((4,), 0.5), persistent=False)

    def forward(self, x: Any, scale: Any = None) -> Any:
        y = torch.relu(self.linear(x)) + self.shift + torch.tensor([1.0, 2.0, 3.0, 4.0])
        return {"y": y if scale is None else y * scale}


class Model(torch.nn.Module):  # type: ignore[misc] # torch is untyped here
    """Two blocks, as the models of diffusers have dozens."""

    _repeated_blocks = ("Block",)

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block(), Block()])

    def forward(self, x: Any, scale: Any) -> Any:
        for block in self.blocks:
            x = block(x, scale=scale)["y"]
        return x


@pytest.fixture(scope="module", autouse=True)
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this file's own. Torch's is the user's: it has the compiler's headers, which take most of the time."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.FOLDER, str(folder))
        yield folder


@pytest.fixture(scope="module")
def exported() -> Any:
    """A block as a program, captured from a call of the whole model."""
    model = Model().eval()
    with spaces.aoti_capture(model.blocks[0]) as call:
        model(torch.ones(2, 4), torch.tensor(2.0))
    with torch.no_grad():
        return torch.export.export(model.blocks[0], call.args, call.kwargs)


@pytest.fixture(scope="module")
def compiled(exported: Any) -> Any:
    """That program, compiled; the one compilation of this file."""
    return spaces.aoti_compile(exported)


@pytest.fixture
def package_dir(compiled: Any, exported: Any, tmp_path: Path) -> Path:
    """A folder as `aoti_compile_and_save` writes it, for the list of blocks."""
    spaces.aoti_compile_and_save(tmp_path / "package", exported, submodule="blocks")
    return tmp_path / "package"


@pytest.fixture
def no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling is an error."""
    monkeypatch.setattr(torch._inductor, "aot_compile", _refuse)


def _refuse(*_args: object, **_options: object) -> None:
    raise AssertionError("compiled a second time")


def expected(model: Any, x: Any, scale: float) -> Any:
    for block in model.blocks:
        x = Block.forward(block, x, torch.tensor(scale))["y"]
    return x


def test_a_captured_call_is_not_run_and_leaves_the_module_as_it_was() -> None:
    block = Block()
    with spaces.aoti_capture(block) as call:
        block("x", scale=3)
        raise AssertionError("went on after the call")
    assert (call.args, call.kwargs) == (("x",), {"scale": 3})
    assert "forward" not in vars(block)


def test_a_capture_without_a_call_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"Block.forward was not called"), spaces.aoti_capture(Block()):
        pass


def test_an_old_torch_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.7.1+cu128")
    with pytest.raises(RuntimeError, match=r"needs torch 2.8 or later, got 2.7.1.*Put torch>=2.8"):
        spaces.aoti_capture(Block())


def test_the_names_are_there_without_importing_torch() -> None:
    source = "import sys\nfrom spaces import *\nprint(aoti_compile.__name__, 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["aoti_compile", "False"]


def test_an_applied_model_computes_the_same(compiled: Any) -> None:
    model = Model().eval()
    want = expected(model, torch.ones(2, 4), 2.0)
    for block in model.blocks:
        spaces.aoti_apply(compiled.with_weights(None), block)
    torch.testing.assert_close(model(torch.ones(2, 4), torch.tensor(2.0)), want)
    assert set(model.state_dict()) == set(Model().state_dict())


def test_a_compiled_model_without_a_module_has_the_weights_of_its_program(compiled: Any, exported: Any) -> None:
    x, scale = torch.randn(2, 4), torch.tensor(3.0)
    torch.testing.assert_close(compiled(x, scale=scale)["y"], exported.module()(x, scale=scale)["y"])


def test_the_same_program_with_other_weights_is_not_compiled_again(compiled: Any, no_compiling: None) -> None:
    block = Block().eval()
    with torch.no_grad():
        again = spaces.aoti_compile(torch.export.export(block, (torch.ones(2, 4),), {"scale": torch.tensor(2.0)}))
    x, scale = torch.randn(2, 4), torch.tensor(3.0)
    torch.testing.assert_close(again(x, scale=scale), block(x, scale=scale))


def test_other_options_are_another_package(compiled: Any, exported: Any, no_compiling: None) -> None:
    with pytest.raises(AssertionError, match="compiled a second time"):
        spaces.aoti_compile(exported, {"max_autotune": True})


def test_other_constants_in_the_code_are_another_package(compiled: Any, no_compiling: None) -> None:
    class Other(Block):
        def forward(self, x: Any, scale: Any = None) -> Any:
            y = torch.relu(self.linear(x)) + self.shift + torch.tensor([9.0, 2.0, 3.0, 4.0])
            return {"y": y if scale is None else y * scale}

    exported = torch.export.export(Other().eval(), (torch.ones(2, 4),), {"scale": torch.tensor(2.0)})
    with pytest.raises(AssertionError, match="compiled a second time"):
        spaces.aoti_compile(exported)


def test_a_compiled_model_is_sent_by_name_and_takes_a_module_s_weights_there(compiled: Any) -> None:
    sent = pickle.dumps(compiled)
    assert len(sent) < 500
    arrived = pickle.loads(sent)
    with pytest.raises(RuntimeError, match="has no weights here"):
        arrived(torch.ones(2, 4), scale=torch.tensor(2.0))
    block = Block().eval()
    want = block(torch.ones(2, 4), torch.tensor(2.0))
    spaces.aoti_apply(arrived, block)
    torch.testing.assert_close(block(torch.ones(2, 4), scale=torch.tensor(2.0)), want)


class Codes(torch.Tensor):  # type: ignore[misc] # torch is untyped here
    """A tensor that is integers and a step inside, as those of quantized models are."""

    @staticmethod
    def __new__(cls, codes: Any, step: Any) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=step.dtype)

    def __init__(self, codes: Any, step: Any) -> None:
        self.codes, self.step = codes, step

    def __tensor_flatten__(self) -> Any:
        return ["codes", "step"], None

    @staticmethod
    def __tensor_unflatten__(inner: Any, context: Any, size: Any, stride: Any) -> Any:
        return Codes(inner["codes"], inner["step"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.detach.default, torch.ops.aten.alias.default):
            return Codes(args[0].codes, args[0].step)
        args, kwargs = tree_map_only(Codes, lambda tensor: tensor.codes * tensor.step, (args, kwargs or {}))
        return func(*args, **kwargs)


def quantized(block: Any) -> Any:
    step = block.linear.weight.detach().abs().max() / 127
    codes = (block.linear.weight.detach() / step).round().to(torch.int8)
    block.linear.weight = torch.nn.Parameter(Codes(codes, step), requires_grad=False)
    return block


def test_a_model_that_a_gpu_has_compiled_is_passed_on_by_a_process_without_one() -> None:
    """A web process records what came of a call before the launch, for zygotes; on a GPU it could not."""

    def make(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "code.wrapper.so").touch()
        (folder / "model" / "code.wrapper_metadata.json").write_text('{"AOTI_DEVICE_KEY": "cuda"}')

    cache.keep(NAME, make)
    model = CompiledModel(Package(NAME))
    assert Package(NAME).find() is None
    arrived = pickle.loads(pickle.dumps(model))
    assert isinstance(arrived, CompiledModel)
    assert pickle.dumps(arrived) == pickle.dumps(model)


def test_weights_that_were_quantized_while_compiling_are_sent_along_and_replace_the_module_s() -> None:
    inside = quantized(Block().eval())
    x, scale = torch.randn(2, 4), torch.tensor(2.0)
    want = inside(x, scale=scale)["y"]
    with torch.no_grad():
        compiled = spaces.aoti_compile(torch.export.export(inside, (x,), {"scale": scale}))
    arrived = pickle.loads(pickle.dumps(compiled))
    again = pickle.loads(pickle.dumps(compiled))
    assert isinstance(arrived.weights, KeptWeights)
    assert arrived.weights is again.weights

    plain, alike = Block().eval(), quantized(Block().eval())
    spaces.aoti_apply(arrived, plain)
    torch.testing.assert_close(plain(x, scale=scale)["y"], want)
    assert plain.linear.weight.numel() == 0
    own = alike(x, scale=scale)["y"]
    spaces.aoti_apply(arrived, alike)
    torch.testing.assert_close(alike(x, scale=scale)["y"], own)
    assert not torch.equal(own, want)


def test_parameters_that_are_let_go_are_those_of_the_module_and_not_of_the_compiled_code(compiled: Any) -> None:
    block = Block().eval()
    x, scale = torch.ones(2, 4), torch.tensor(2.0)
    want = block(x, scale=scale)
    spaces.aoti_apply(compiled.with_weights(None), block)
    drain_module_parameters(block)
    assert block.linear.weight.numel() == 0
    assert block.linear.weight.dtype == torch.float32
    torch.testing.assert_close(block(x, scale=scale), want)


def test_an_applied_module_can_be_exported_and_copied(compiled: Any) -> None:
    block = Block().eval()
    spaces.aoti_apply(compiled, block)
    exported = torch.export.export(block, (torch.ones(2, 4),), {"scale": torch.tensor(2.0)})
    assert "linear.weight" in exported.state_dict
    assert "relu" in exported.graph_module.code
    copied = copy.deepcopy(block)
    assert copied(torch.ones(2, 4), scale=torch.tensor(2.0))["y"].shape == (2, 4)


def test_a_model_runs_uncompiled_where_its_package_is_gone(
    compiled: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrived = pickle.loads(pickle.dumps(compiled))
    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    block = Block().eval()
    want = block(torch.ones(2, 4))
    spaces.aoti_apply(arrived, block)
    torch.testing.assert_close(block(torch.ones(2, 4)), want)
    assert "runs uncompiled" in caplog.text


def test_a_saved_folder_is_loaded_into_every_module_of_a_list(package_dir: Path, no_compiling: None) -> None:
    model = Model().eval()
    want = expected(model, torch.ones(2, 4), 2.0)
    spaces.aoti_load_from_package_dir(model, package_dir)
    torch.testing.assert_close(model(torch.ones(2, 4), torch.tensor(2.0)), want)


def test_packages_leave_nothing_in_the_temporary_directory(package_dir: Path) -> None:
    before = set(Path("/tmp").iterdir())
    model = Model().eval()
    spaces.aoti_load_from_package_dir(model, package_dir)
    model(torch.ones(2, 4), torch.tensor(2.0))
    assert not {path for path in set(Path("/tmp").iterdir()) - before if (path / "data").exists()}
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if ".wrapper.so" in line}
    assert mapped
    assert all(path.startswith(str(cache.cache_dir())) for path in mapped)


def test_a_saved_package_is_what_torch_itself_loads(package_dir: Path) -> None:
    loaded = torch._inductor.aoti_load_package(str(package_dir / "submodules/blocks/package.pt2"))
    assert set(loaded.get_constant_fqns()) >= {"linear.weight", "linear.bias"}


def test_packages_are_loaded_from_the_hub(
    package_dir: Path, no_compiling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(repo_id: str, revision: str | None, allow_patterns: str) -> str:
        asked.append((repo_id, revision))
        return str(package_dir.parent)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    model = Model().eval()
    want = expected(model, torch.ones(2, 4), 2.0)
    spaces.aoti_load(model, "me/blocks", "v1")
    torch.testing.assert_close(model(torch.ones(2, 4), torch.tensor(2.0)), want)
    assert asked == [("me/blocks", "v1")]


def test_repeated_blocks_are_loaded_from_the_hub(package_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repo_id: str, filename: str, subfolder: str | None = None) -> str:
        if filename == "config.fp8.json":
            raise huggingface_hub.errors.EntryNotFoundError("there is none")
        assert (repo_id, filename, subfolder) == ("me/blocks", "package.pt2", "Block.fp8")
        return str(package_dir / "submodules/blocks/package.pt2")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    model = Model().eval()
    want = expected(model, torch.ones(2, 4), 2.0)
    spaces.aoti_blocks_load(model, "me/blocks", variant="fp8")
    torch.testing.assert_close(model(torch.ones(2, 4), torch.tensor(2.0)), want)


def test_a_module_without_repeated_blocks_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Block has none"):
        spaces.aoti_blocks_load(Block(), "me/blocks")


def test_a_package_of_another_module_names_what_is_missing(compiled: Any) -> None:
    other = torch.nn.Linear(4, 4)
    spaces.aoti_apply(compiled.with_weights(None), other)
    with pytest.raises(RuntimeError, match=r"needs .*linear.weight.*compiled from a different module"):
        other(torch.ones(2, 4), scale=torch.tensor(2.0))


def test_classes_of_the_official_package_work_as_spaces_use_them(compiled: Any, package_dir: Path) -> None:
    block = Block().eval()
    want = block(torch.ones(2, 4), torch.tensor(2.0))
    file, weights = package_dir / "submodules/blocks/package.pt2", tensors(block)
    models = [
        ZeroGPUCompiledModel(str(file), ZeroGPUWeights(weights)),
        ZeroGPUCompiledModel(io.BytesIO(compiled.archive_file.getvalue()), ZeroGPUWeights(weights)),
        LazyAOTIModel(file).with_weights(weights),
    ]
    for model in models:
        torch.testing.assert_close(model(torch.ones(2, 4), scale=torch.tensor(2.0)), want)


def tensors(block: Any) -> dict[str, Any]:
    constants = {"_tensor_constant0": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    return {**block.state_dict(), **dict(block.named_buffers()), **constants}


def test_an_unusable_package_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "package.pt2", "w") as archive:
        archive.writestr("package/data/aotinductor/model/notes.txt", "no library")
    model = LazyAOTIModel(tmp_path / "package.pt2").with_weights({})
    with pytest.raises(RuntimeError, match="must hold one library"):
        model()


def test_the_source_of_a_load_call_has_its_loader() -> None:
    assert spaces.aoti_load_call_source("pipe.transformer", "me/flux") == (
        "spaces.aoti_load(\n    module=pipe.transformer,\n    repo_id='me/flux',\n)\n"
    )
    source = spaces.aoti_load_call_source("pipe.transformer", "me/flux", "v2", load_twice)
    assert source.startswith("def load_twice(")
    assert "    revision='v2',\n    aoti_loader=load_twice,\n" in source


def load_twice(module: Any, package_dir: str) -> None:
    spaces.aoti_load_from_package_dir(module, package_dir)


def test_a_module_that_says_cuda_is_exported_on_the_cpu() -> None:
    """Torch sets the emulation aside while it traces, so `device="cuda"` in a forward reached for a driver."""

    class SaysCuda(torch.nn.Module):  # type: ignore[misc] # torch is untyped here
        def forward(self, x: Any) -> Any:
            assert x.is_cuda
            return x.cuda() + torch.arange(4, device="cuda") + torch.ones(4, device=x.device).to("cuda:0")

    with exporting.OneWorld():
        assert SaysCuda()(torch.zeros(4)).tolist() == [1, 2, 3, 4]


def test_a_process_without_a_device_compiles_and_writes_nothing_and_runs_the_plain_code(tmp_path: Path) -> None:
    environment = os.environ | {"ZEROFARM_ROLE": "worker", cache.FOLDER: str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _IN_A_ZYGOTE, str(tmp_path / "package")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert "runs uncompiled" not in told.stderr
    assert list(tmp_path.iterdir()) == []


_IN_A_ZYGOTE = """
import sys, spaces, torch

class Model(torch.nn.Module):
    def forward(self, x):
        return x.cuda() + torch.ones(2, device="cuda")

model = Model().to("cuda")
with spaces.aoti_capture(model) as call:
    model(torch.zeros(2, device="cuda"))
exported = torch.export.export(model, call.args, call.kwargs)
compiled = spaces.aoti_compile(exported)
spaces.aoti_compile_and_save(sys.argv[1], exported)
assert compiled(torch.zeros(2, device="cuda")).tolist() == [1, 1]
spaces.aoti_apply(compiled, model)
assert str(model(torch.zeros(2, device="cuda")).device) == "cuda:0"
"""


def test_an_executable_stack_is_taken_back(compiled: Any, tmp_path: Path) -> None:
    library = tmp_path / "library.so"
    made = next(cache.cache_dir().glob("program-*/model/*.so"))
    library.write_bytes(_with_executable_stack(bytearray(made.read_bytes())))
    assert forbid_executable_stack(library)
    assert not forbid_executable_stack(library)
    assert library.read_bytes() == made.read_bytes()
    (tmp_path / "text.so").write_text("INPUT(libm.so.6)")
    assert not forbid_executable_stack(tmp_path / "text.so")


def _with_executable_stack(library: bytearray) -> bytes:
    at = library.index((0x6474E551).to_bytes(4, "little"))
    library[at + 4] |= 1
    return bytes(library)


def test_of_several_processes_one_makes_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(4)
    makers = [context.Process(target=_keep_once, args=(gate, tmp_path / "made")) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert [maker.exitcode for maker in makers] == [0] * 4
    assert (tmp_path / "made").read_text() == "made\n"


def _keep_once(gate: Any, note: Path) -> None:
    def make(folder: Path) -> None:
        with note.open("a") as file:
            file.write("made\n")
        (folder / "complete").touch()

    gate.wait(PATIENCE)
    assert (cache.keep(NAME, make) / "complete").exists()


def test_a_maker_that_is_killed_or_fails_leaves_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    killed = multiprocessing.get_context("fork").Process(target=cache.keep, args=(NAME, _die_half_way))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert cache.find(NAME) is None
    with pytest.raises(KeyError):
        cache.keep(NAME, _fail)
    assert cache.find(NAME) is None
    folder = cache.keep(NAME, lambda draft: (draft / "complete").touch())
    assert [path.name for path in folder.iterdir()] == ["complete"]
    assert list((tmp_path / "aoti/drafts").iterdir()) == []


def _die_half_way(folder: Path) -> None:
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _fail(folder: Path) -> None:
    raise KeyError(folder)


def test_a_name_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="the name of a compiled package must be"):
        cache.find("../farm.key")


def test_a_package_for_another_gpu_does_not_fit() -> None:
    from spaces.aoti import package

    assert package._runs(90, (9, 0))
    assert package._runs(80, (8, 9))
    assert not package._runs(90, (8, 0))
    assert not package._runs(89, (8, 0))


def test_options_of_a_space_cannot_put_weights_into_the_package() -> None:
    options = compiling._options({"freezing": True, "max_autotune": True})
    assert options["max_autotune"]
    assert not options["freezing"]
