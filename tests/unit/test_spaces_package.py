"""If `import spaces` does not find our package, doctor and every other command report it, with the remedy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest.mock import Mock

import pytest

import spaces
from spaces.farm.queue import settings
from spaces_workers.doctor import spaces_package
from spaces_workers.doctor.finding import Finding
from spaces_workers.doctor.space import examine_space
from spaces_workers.setup.served_space import served_space


def zerofarm(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "spaces_workers.cli", *arguments]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)


def before(folder: Path) -> str:
    """A PYTHONPATH that begins with a folder."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def space(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in ({"app.py": ""} | files).items():
        (folder / name).write_text(text)
    return folder


# --- in its files


def test_ours_is_recognised_as_ours() -> None:
    assert spaces_package.installed().status == "ok"


def test_the_official_package_beside_ours_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "spaces-0.51.3.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: spaces\nVersion: 0.51.3\n")
    monkeypatch.syspath_prepend(tmp_path)
    finding = spaces_package.installed()
    assert finding.status == "problem"
    assert "0.51.3" in finding.message
    assert finding.remedy == "pip uninstall spaces && pip install --force-reinstall zerofarm"


def test_another_module_of_the_name_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uninstalling the official package in the wrong order leaves files of it where ours should be."""
    stranger = tmp_path / "spaces" / "__init__.py"
    stranger.parent.mkdir()
    stranger.write_text("")
    spec = ModuleSpec("spaces", None, origin=str(stranger))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    finding = spaces_package.installed()
    assert finding.status == "problem"
    assert str(stranger) in finding.message


def test_an_installed_package_is_known_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of the official package in the wrong order overwrites our `__init__.py` in its place."""
    facts = tmp_path / "zerofarm-0.1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: zerofarm\nVersion: 0.1.0\n")
    digest = urlsafe_b64encode(sha256(b"ours = True\n").digest()).rstrip(b"=").decode()
    (facts / "RECORD").write_text(f"spaces/__init__.py,sha256={digest},12\n")
    module = tmp_path / "spaces" / "__init__.py"
    module.parent.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None, origin=str(module)))
    module.write_text("ours = True\n")
    assert spaces_package.installed().status == "ok"
    module.write_text("ours = False\n")
    assert spaces_package.installed().status == "problem"
    module.unlink()  # as if it lay in an archive
    assert spaces_package.installed().status == "problem"


# --- in a fresh interpreter


def test_an_import_that_works_is_well() -> None:
    finding = spaces_package.imported()
    assert finding == Finding("import spaces", "ok", f"works in {sys.executable}")


def test_a_broken_dependency_is_told_with_its_error_and_where_ours_is(tmp_path: Path) -> None:
    (tmp_path / "msgpack.py").write_text("raise ImportError('libmsgpack.so is not there')")
    finding = spaces_package.imported(variables={"PYTHONPATH": before(tmp_path)})
    assert finding.status == "problem"
    assert "ImportError: libmsgpack.so is not there" in finding.message
    assert f"(found: {spaces.__file__})" in finding.message
    assert finding.remedy == "pip install --force-reinstall zerofarm"


def test_bad_settings_of_the_farm_are_told(tmp_path: Path) -> None:
    """A web process reads them while it imports `spaces`, where Gradio would swallow the error."""
    file = tmp_path / settings.FILE
    file.write_text("[quota]\nenabled = 'perhaps'\n")
    finding = spaces_package.imported(variables={settings.VARIABLE: str(file)})
    assert finding.status == "problem"
    assert "perhaps" in finding.message


def test_a_module_of_the_name_that_comes_first_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "spaces.py").write_text("")
    finding = spaces_package.imported(variables={"PYTHONPATH": before(tmp_path)})
    assert finding.message == f"`import spaces` finds {tmp_path / 'spaces.py'}, which is not part of zerofarm"
    assert finding.remedy == f"Rename {tmp_path / 'spaces.py'}, or remove its folder from PYTHONPATH"


def test_an_interpreter_that_is_gone_is_a_finding_not_an_error(tmp_path: Path) -> None:
    finding = spaces_package.imported("Space demo", tmp_path / "python", remedy="make it anew")
    assert (finding.subject, finding.status, finding.remedy) == ("Space demo", "problem", "make it anew")


# --- by the command line


@pytest.mark.parametrize("command", ["doctor", "status"])
def test_every_command_says_so_where_another_module_of_the_name_comes_first(tmp_path: Path, command: str) -> None:
    (tmp_path / "spaces.py").write_text("")
    told = zerofarm(command, PYTHONPATH=before(tmp_path))
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert line.startswith(f"zerofarm: `import spaces` finds {tmp_path / 'spaces.py'}, which is not part of zerofarm (")
    assert line.endswith(f"Rename {tmp_path / 'spaces.py'}, or remove its folder from PYTHONPATH")


def test_doctor_looks_at_the_spaces_that_are_named(tmp_path: Path) -> None:
    demo = space(tmp_path / "demo", **{"spaces.py": ""})
    told = zerofarm("doctor", str(demo), "--json", "--state-dir", str(tmp_path / "state"))
    found = {(each["status"], each["message"]) for each in json.loads(told.stdout) if each["subject"] == "Space demo"}
    assert found == {
        ("warning", f"{demo / 'spaces.py'} cannot be imported: `import spaces` finds ZeroFarm's package"),
        ("ok", f"can import spaces, and finds what app.py imports, with {sys.executable}"),
    }


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        ("import spaces\ndef f(:\n", "problem", "app.py cannot be compiled: line 2: invalid syntax"),
        ("return 1", "problem", "app.py cannot be compiled: line 1: 'return' outside function"),
        ("import os\nimport no_mod.part as p", "problem", "app.py imports no_mod, which cannot be found"),
        ("from no_mod import f", "problem", "app.py imports no_mod, which cannot be found"),
        ("os.system('pip install x')\nimport no_mod", "warning", "app.py imports no_mod, which cannot be found"),
        ("try:\n    import no_mod\nexcept ImportError:\n    pass", "ok", "can import spaces"),
        ("if False:\n    import no_mod", "ok", "can import spaces"),
        ("import helper, os.path", "ok", "can import spaces"),
    ],
)
def test_a_script_that_cannot_start_is_found_by_reading_it(
    tmp_path: Path, script: str, status: str, message: str
) -> None:
    """Doctor said that a Space works whose script could not even be compiled."""
    demo = space(tmp_path / "demo", **{"app.py": script, "helper.py": "raise SystemExit('executed')"})
    (finding,) = examine_space(served_space(demo), tmp_path / "state")
    assert finding.status == status
    assert finding.message.startswith(message)


def test_a_script_is_read_where_its_environment_is_not_there_yet(tmp_path: Path) -> None:
    demo = space(tmp_path / "demo", **{"app.py": "import humanize\ndef f(:", "requirements.txt": "humanize"})
    (finding,) = examine_space(served_space(demo), tmp_path / "state")
    assert finding.message.startswith("app.py cannot be compiled: line 2")


def test_an_operator_in_a_folder_with_a_module_of_the_name_starts_ours(tmp_path: Path) -> None:
    demo = space(tmp_path / "demo", **{"app.py": "import spaces; print(spaces.__file__)", "spaces.py": ""})
    command = [sys.executable, *served_space(demo).command(tmp_path, isolate=True)]
    run = subprocess.run(command, cwd=demo, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == spaces.__file__


# --- in the environment of a Space


def test_an_environment_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    served = served_space(space(tmp_path / "demo", **{"requirements.txt": "humanize"}))
    (finding,) = examine_space(served, tmp_path / "state")
    assert finding == Finding(
        "Space demo", "ok", "app.py can be compiled; its environment is made when it starts, with ours in it"
    )
    assert not (tmp_path / "state").exists()


def test_a_space_that_cannot_be_read_is_a_finding_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = served_space(space(tmp_path / "demo", **{"requirements.txt": "humanize"}))
    denied = PermissionError(13, "Permission denied", "requirements.txt")
    monkeypatch.setattr(Path, "read_text", Mock(side_effect=denied))
    (finding,) = examine_space(served, tmp_path / "state")
    assert (finding.subject, finding.status) == ("Space demo", "problem")
    assert finding.message == "it cannot be read: [Errno 13] Permission denied: 'requirements.txt'"
