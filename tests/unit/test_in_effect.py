"""If `import spaces` has no effect in a Space, its log says so, in the web process and in the zygote."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import spaces
from spaces.role import Role

#: Runs a script as the farm does; where it launches, this ends in place of a server.
PROGRAM = """
import sys
from pathlib import Path
from spaces import launch, script

launch.take_over_at_launch(lambda: sys.exit(0))
script.run(Path(sys.argv[1]))
"""

LAUNCHES = """
import uvicorn
uvicorn.Server(uvicorn.Config(None)).run()
"""


def log_of(folder: Path, text: str, role: Role) -> str:
    """The log of a Space's script up to its launch."""
    (folder / "app.py").write_text(textwrap.dedent(text) + LAUNCHES)
    command = [sys.executable, "-P", "-c", PROGRAM, str(folder / "app.py")]
    environment = os.environ | {"ZEROFARM_ROLE": role}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run.stdout + run.stderr


roles = pytest.mark.parametrize("role", [Role.WEB, Role.WORKER])


@roles
def test_a_script_whose_functions_are_the_farm_s_is_told_nothing(tmp_path: Path, role: Role) -> None:
    assert log_of(tmp_path, "import spaces\n@spaces.GPU\ndef f(): pass", role) == ""


@roles
def test_a_script_without_a_gpu_function_says_so(tmp_path: Path, role: Role) -> None:
    """Without `spaces`, Gradio, and a Space that guards its import, run as if there were no ZeroGPU."""
    assert log_of(tmp_path, "import spaces", role) == (
        "ZeroFarm: no function is decorated with @spaces.GPU: the whole Space runs in its web process, without a GPU\n"
    )


@roles
def test_a_script_that_puts_its_own_in_the_place_of_ours_says_so(tmp_path: Path, role: Role) -> None:
    log = log_of(
        tmp_path,
        """
        import sys, types
        sys.modules["spaces"] = types.SimpleNamespace(GPU=lambda function: function)
        import spaces
        @spaces.GPU
        def f(): pass
        """,
        role,
    )
    (line,) = log.splitlines()
    assert line.startswith("ZeroFarm: the script has replaced the package `spaces` by namespace(GPU=<function <lambda>")
    assert line.endswith("Remove the assignment to sys.modules['spaces']")


@roles
def test_a_script_that_imports_ours_anew_is_told_nothing(tmp_path: Path, role: Role) -> None:
    text = "import sys\ndel sys.modules['spaces']\nimport spaces\n@spaces.GPU\ndef f(): pass"
    assert log_of(tmp_path, text, role) == ""


@roles
@pytest.mark.parametrize("name", ["spaces.py", "spaces/__init__.py"])
def test_a_file_of_the_package_s_name_beside_the_script_is_named_and_not_imported(
    tmp_path: Path, name: str, role: Role
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise RuntimeError('not this one')")
    log = log_of(tmp_path, "import spaces\n@spaces.GPU\ndef f(): pass\nprint(spaces.__file__)", role)
    assert sorted(log.splitlines()) == sorted([
        f"ZeroFarm: {tmp_path / name} cannot be imported: `import spaces` finds ZeroFarm's package. Rename it",
        spaces.__file__,
    ])  # fmt: skip
