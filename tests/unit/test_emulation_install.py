"""The start of the emulation, its cost before that, and its error messages."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.unit.emulation_process import has_torch

pytestmark = pytest.mark.skipif(not has_torch, reason="needs torch")


def script(text: str, file: str = "-", **variables: str) -> str:
    """The output of a script in a fresh Python."""
    run = subprocess.run(
        [sys.executable, file],
        input=textwrap.dedent(text),
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_a_space_without_torch_never_imports_it() -> None:
    printed = script("""
        import sys
        from spaces import emulation

        emulation.install()
        import json, logging
        assert emulation.tracked() == []
        emulation.drop_weights()
        print([name for name in sys.modules if name.split(".")[0] in ("torch", "numpy", "safetensors")])
        """)
    assert printed == "[]"


@pytest.mark.parametrize("first", ["import torch", "import safetensors.torch", "from torch.cuda import is_available"])
def test_the_first_import_of_torch_is_emulated(first: str, tmp_path: Path) -> None:
    printed = script(f"""
        from spaces import emulation
        emulation.install()
        {first}
        import torch, safetensors.torch
        safetensors.torch.save_file({{"w": torch.ones(2, device="cuda")}}, "{tmp_path}/w")
        loaded = safetensors.torch.load_file("{tmp_path}/w", device="cuda")
        print(torch.cuda.is_available(), loaded["w"].device, safetensors.torch.load_file.__qualname__)
        """)
    assert printed == "True cuda:0 load_file"


def test_a_library_that_asks_whether_torch_could_be_imported_does_not_use_up_its_first_import() -> None:
    """Transformers does; what waited for the import was gone by then, and there was no CUDA."""
    printed = script("""
        import importlib.util
        from spaces import emulation
        emulation.install()
        assert importlib.util.find_spec("torch") and importlib.util.find_spec("safetensors.torch")
        import torch
        print(torch.ones(1).to("cuda").device)
        """)
    assert printed == "cuda:0"


def test_a_torch_imported_before_is_emulated_at_once() -> None:
    printed = script("""
        import torch, safetensors.torch
        from spaces import emulation
        emulation.install()
        emulation.install(emulation.RTX_PRO_6000)
        print(torch.cuda.get_device_name(), torch.ones(1, device="cuda").device)
        """)
    assert printed == "NVIDIA H200 cuda:0"


def test_another_device_can_be_emulated() -> None:
    printed = script("""
        from spaces import emulation
        emulation.install(emulation.EmulatedDevice("Test", 10**9, 8, 6, 10))
        import torch
        properties = torch.cuda.get_device_properties()
        print(properties.name, properties.total_memory, torch.cuda.get_device_capability(), torch.cuda.get_arch_list())
        """)
    assert printed == "Test 1000000000 (8, 6) ['sm_86']"


def test_a_fork_that_leaves_before_torch_is_imported_gets_a_plain_torch() -> None:
    printed = script("""
        from spaces import emulation
        emulation.install()
        emulation.leave("cpu")
        import torch
        print(torch.cuda.is_available.__module__, torch.overrides._get_current_function_mode_stack())
        """)
    assert printed == "torch.cuda []"


def test_a_missing_torch_is_still_an_import_error() -> None:
    printed = script("""
        import sys
        from spaces import emulation
        emulation.install()
        sys.path = [entry for entry in sys.path if "site-packages" not in entry]
        try:
            import torch
        except ModuleNotFoundError as error:
            print(error)
        """)
    assert printed == "No module named 'torch'"


def test_the_error_names_the_line_of_the_space_and_not_of_a_library(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "from spaces import emulation\n"
        "emulation.install()\n"
        "import torch\n"
        "try:\n"
        "    torch.nn.Sequential().apply(lambda module: torch.cuda.CUDAGraph())\n"
        "except emulation.EmulationError as error:\n"
        "    assert isinstance(error, RuntimeError)\n"
        "    print(error)\n"
    )
    printed = script("", str(app))
    assert f"({app}:5)" in printed
    assert printed.startswith("torch.cuda.CUDAGraph() needs a real GPU")
    assert printed.endswith("Move it inside the @spaces.GPU function")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A Space's folder, and that of a library which is found by the path alone, as a farm lends its own."""
    space, library = tmp_path / "space", tmp_path / "farm"
    space.mkdir()
    library.mkdir()
    (library / "library.py").write_text(
        "import dataclasses, torch\n"
        "@dataclasses.dataclass\n"
        "class Options:\n"
        "    size: int\n"
        "    def __post_init__(self):\n"
        "        torch.cuda.CUDAGraph()\n"
        "def use(weight, errors=None):\n"
        "    try:\n"
        "        return weight + 1\n"
        "    except Exception as error:\n"
        "        if errors is None:\n"
        "            raise\n"
        "        errors.append(error)\n"
    )
    return space, library


LAUNCHED = """
from spaces import emulation
emulation.install()
import threading, torch, library
weight = torch.ones(1, device="cuda")
emulation.drop_weights()
"""


@pytest.mark.parametrize(
    ("acts", "line"),
    [
        ("try:\n    library.use(weight)\nexcept emulation.EmulationError as error:\n    print(error)\n", 8),
        ("try:\n    library.Options(1)\nexcept emulation.EmulationError as error:\n    print(error)\n", 8),
        (
            "errors = []\n"
            "thread = threading.Thread(target=library.use, args=(weight, errors))\n"
            "thread.start()\n"
            "thread.join()\n"
            "print(errors[0])\n",
            9,
        ),
    ],
    ids=["called by the Space", "called by generated code of the library", "called in a thread that the Space starts"],
)
def test_a_library_that_lies_anywhere_is_not_named_but_the_space_is(
    folders: tuple[Path, Path], acts: str, line: int
) -> None:
    """Libraries that a farm lends lie in no site-packages, and their lines were named."""
    space, library = folders
    (space / "app.py").write_text(LAUNCHED + acts)
    assert f"({space}/app.py:{line})" in script("", str(space / "app.py"), PYTHONPATH=str(library))


def test_a_module_of_the_space_is_the_spaces_own(folders: tuple[Path, Path]) -> None:
    space, library = folders
    (space / "parts").mkdir()
    (space / "parts" / "model.py").write_text("import library\ndef run(weight):\n    library.use(weight)\n")
    acts = "from parts import model\ntry:\n    model.run(weight)\nexcept RuntimeError as error:\n    print(error)\n"
    (space / "app.py").write_text(LAUNCHED + acts)
    assert f"({space}/parts/model.py:3)" in script("", str(space / "app.py"), PYTHONPATH=str(library))


def test_what_slips_past_the_emulation_ends_with_a_line_too() -> None:
    """A raw thread knows no mode, so its call reaches torch's own start of CUDA."""
    printed = script("""
        import _thread, queue
        from spaces import emulation
        emulation.install()
        import torch
        heard = queue.Queue()

        def ask():
            try:
                torch.ones(1, device="cuda")
            except Exception as error:
                heard.put(error)

        _thread.start_new_thread(ask, ())
        print(heard.get(timeout=60))
        """)
    assert "<stdin>:10" in printed
    assert "inside the @spaces.GPU function" in printed
