"""A Space's requirements and the order of attempts; the packages that the farm lends; the store of environments."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from spaces.front_matter import front_matter
from spaces.source import Source
from spaces_workers.isolation import IsolationError, store, system_packages, variables_of
from spaces_workers.isolation.environment_key import wanted_by
from spaces_workers.isolation.farm_packages import Farm, Package
from spaces_workers.isolation.install_attempts import attempts
from spaces_workers.isolation.requirements import Requirements, requirements_of
from spaces_workers.isolation.space_environment import NOTES
from spaces_workers.isolation.startup import runs_pip
from spaces_workers.isolation.uv import Outcome
from tests.waiting import PATIENCE


def space(folder: Path, **files: str) -> Source:
    """A Space with these files, `_` in a name for `.`."""
    for name, text in {"app_py": "", **files}.items():
        (folder / name.replace("_", ".")).write_text(text)
    return Source(folder / "app.py")


def package(folder: Path, name: str, version: str, *needs: str) -> Package:
    """A package of the farm, installed in a folder."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {n}" for n in needs)]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n{info.name}/METADATA,,\n../../../bin/{name},,\n")
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("")
    return Package(Distribution.at(info))


def farm(*packages: Package) -> Farm:
    return Farm({each.name: each for each in packages})


# --- what a Space asks for


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("---\nsdk: gradio\nsdk_version: 5.49.1\n---\n# x", {"sdk": "gradio", "sdk_version": "5.49.1"}),
        ("---\npython_version: '3.10'  # as there\ntags:\n  - a: b\n---", {"python_version": "3.10", "tags": ""}),
        ('\ufeff---\ntitle: "x: y"\n---', {"title": "x: y"}),
        ("---\nsdk_version: 5.0\n", {}),
        ("# no front matter\n---\nsdk_version: 5.0\n---\n", {}),
    ],
)
def test_front_matter_is_read(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert front_matter(tmp_path) == found


def test_a_folder_without_a_readme_has_no_front_matter(tmp_path: Path) -> None:
    assert front_matter(tmp_path) == {}


def test_files_of_requirements_are_read_in_pip_s_order_and_with_what_they_name(tmp_path: Path) -> None:
    source = space(
        tmp_path,
        requirements_txt="# ours\n-r more.txt\n-c limits.txt\n--pre\ntorch  # any\n\n--prefer-binary\n-r more.txt\n",
        more_txt="--extra-index-url https://example.org\nnumpy<2; python_version > '3'\n-r requirements.txt\n",
        limits_txt="pillow<11\n",
    )
    (tmp_path / "pre-requirements.txt").write_text("\ufeffwheel\n", encoding="utf-8")
    found = requirements_of(source)
    assert found.lines == (
        "wheel",
        "--extra-index-url https://example.org",
        "numpy<2; python_version > '3'",
        "torch  # any",
    )
    assert found.constraints == ("pillow<11",)
    assert found.ignored == ("--prefer-binary",)
    assert found.prereleases
    assert [each.name for each in found.named()] == ["wheel", "numpy", "torch"]


def test_the_files_beside_a_lone_script_are_not_its_own(tmp_path: Path) -> None:
    source = space(tmp_path, requirements_txt="torch\n", packages_txt="ffmpeg\n")
    alone = Source(source.app_file, alone=True)
    assert requirements_of(alone) == Requirements()
    assert system_packages.asked_for(alone) == ()
    assert system_packages.asked_for(source) == ("ffmpeg",)


@pytest.mark.parametrize(
    ("line", "specifier"),
    [
        ("gradio", ""),
        ("Gradio[oauth]==5.1 --hash=sha256:00", "==5.1"),
        ("gradio>=5 ; python_version < '3'", None),
        ("gradio-client==1.0", None),
        ("# gradio==5", None),
        ("git+https://github.com/gradio-app/gradio", None),
    ],
)
def test_a_requirement_is_found_by_its_name(line: str, specifier: str | None) -> None:
    found = Requirements((line,)).specifier("gradio")
    assert (None if found is None else str(found)) == specifier


@pytest.mark.parametrize("line", ["./wheels/x-1.0-py3-none-any.whl", "-e .", "x @ file:///tmp/x", "/opt/x.whl"])
def test_an_environment_with_local_files_changes_with_the_space(tmp_path: Path, line: str) -> None:
    source = space(tmp_path, requirements_txt=line)
    before = wanted_by(source, "demo").key
    assert wanted_by(source, "demo").key == before
    (tmp_path / "app.py").write_text("changed = True")
    assert wanted_by(source, "demo").key != before


def test_the_key_follows_what_is_asked_for_and_by_whom(tmp_path: Path) -> None:
    source = space(tmp_path, requirements_txt="numpy\n")
    before = wanted_by(source, "demo").key
    (tmp_path / "app.py").write_text("changed = True")
    assert wanted_by(source, "demo").key == before
    assert wanted_by(source, "other").key != before
    (tmp_path / "README.md").write_text("---\nsdk_version: 5.0.1\n---\n")
    with_gradio = wanted_by(source, "demo").key
    (tmp_path / "requirements.txt").write_text("numpy<2\n")
    assert len({before, with_gradio, wanted_by(source, "demo").key}) == 3


def test_missing_system_packages_are_said_with_the_remedy() -> None:
    assert list(system_packages.notes_on(())) == []
    (note,) = system_packages.notes_on(("no-such-package-at-all",))
    assert note.endswith("apt-get install no-such-package-at-all")


# --- what is tried

OLD_GRADIO = ("huggingface_hub<1", "pydantic<2.11", "starlette<1")


def gradios(requirements: str, sdk_version: str, of: Farm) -> list[tuple[str, ...]]:
    tried = attempts(Requirements((requirements,) if requirements else ()), sdk_version, of)
    return list(dict.fromkeys(attempt.gradio for attempt in tried))


@pytest.mark.parametrize(
    ("requirements", "sdk_version", "tried"),
    [
        ("", "", [("gradio",), ()]),
        ("", "5.49.1", [("gradio[oauth,mcp]==5.49.1",), ("gradio==5.49.1",), ("gradio",), ()]),
        ("gradio", "5.49.1", [("gradio[oauth,mcp]==5.49.1",), ("gradio==5.49.1",), ()]),
        ("gradio==5.49.1", "5.49.1", [("gradio[oauth,mcp]==5.49.1",), ("gradio==5.49.1",), ()]),
        ("gradio==5.49.1", "5.0.0", [()]),
        ("", "newest", [("gradio[oauth,mcp]==newest",), ("gradio==newest",), ("gradio",), ()]),
        ("gradio>=5", "newest", [()]),
        ("gradio>=4", "", [()]),
        ("gradio==4.44.0", "", [OLD_GRADIO, ()]),
        ("gradio==5.12.0", "", [OLD_GRADIO, ()]),
        ("gradio==4.*", "", [OLD_GRADIO, ()]),
        ("gradio<5", "", [OLD_GRADIO, ()]),
    ],
)
def test_gradio_is_the_one_that_is_named_as_long_as_it_can_be(
    requirements: str, sdk_version: str, tried: list[tuple[str, ...]]
) -> None:
    assert gradios(requirements, sdk_version, farm()) == tried


@pytest.mark.parametrize(
    ("sdk_version", "limits"),
    [("4.44.1", OLD_GRADIO), ("5.0.0", OLD_GRADIO), ("5.22.0", OLD_GRADIO), ("5.23.0", ("huggingface_hub<1",))],
)
def test_gradio_is_first_tried_within_the_limits_that_it_does_not_set(
    sdk_version: str, limits: tuple[str, ...]
) -> None:
    """Gradio 5.0 was installed beside huggingface_hub 1 or newer, and could not be imported."""
    tried = gradios("", sdk_version, farm())
    assert tried[:2] == [(f"gradio[oauth,mcp]=={sdk_version}", *limits), (f"gradio[oauth,mcp]=={sdk_version}",)]


def test_the_farm_s_code_stands_back_before_its_torch_does(tmp_path: Path) -> None:
    of = farm(package(tmp_path, "torch", "2.13.0"), package(tmp_path, "zerofarm", "0.1.0", "redis>=6"))
    tried = [attempt.lines for attempt in attempts(Requirements(("gradio",)), "", of)]
    assert tried == [("torch==2.13.0", "redis>=6"), ("torch==2.13.0",), ("torch", "redis>=6"), ("torch",)]


def test_why_uv_failed_is_told_apart() -> None:
    unsolvable = Outcome(False, ("Resolved 1", "error: No solution found when resolving dependencies", "  cause: x"))
    assert unsolvable.unsolvable
    assert unsolvable.reason == "error: No solution found when resolving dependencies\n  cause: x"
    assert Outcome(False, ("error: Failed to build `flash-attn==2`", "  cause: no nvcc")).failed_to_build


# --- what the farm lends


def test_a_claim_lists_nothing_but_itself(tmp_path: Path) -> None:
    claims = tmp_path / "claims"
    claims.mkdir()
    package(tmp_path / "farm", "thing", "1.0").claim(claims)
    (claim,) = claims.iterdir()
    assert claim.name == "thing-1.0.dist-info"
    listed = {line.partition(",")[0] for line in (claim / "RECORD").read_text().splitlines()}
    assert listed == {f"{claim.name}/{path.name}" for path in claim.iterdir()}


def test_a_package_is_lent_without_its_metadata_and_scripts(tmp_path: Path) -> None:
    lent = tmp_path / "lent"
    lent.mkdir()
    package(tmp_path / "farm", "thing", "1.0").lend(lent)
    assert {path.name: path.resolve() for path in lent.iterdir()} == {"thing": tmp_path / "farm" / "thing"}


def test_packages_that_need_another_version_are_unfit_with_those_that_need_them(tmp_path: Path) -> None:
    of = farm(
        package(tmp_path, "base", "2.0"),
        package(tmp_path, "middle", "1.0", "base>=2"),
        package(tmp_path, "top", "1.0", "middle"),
        package(tmp_path, "easy", "1.0", "base", "not really a requirement"),
        package(tmp_path, "lame", "1.0", "missing>=1", "base>=3; extra == 'more'"),
    )
    there = {name: each.version for name, each in of.packages.items()}
    assert of.unfit(there) == set()
    assert of.unfit(there | {"base": "1.0"}) == {"middle", "top"}
    assert of.unfit(there | {"base": "1.0", "middle": "0.9"}) == set()


def test_what_stands_behind_a_need_is_found_with_its_extras(tmp_path: Path) -> None:
    of = farm(
        package(tmp_path, "zerofarm", "0.1.0", "redis[fast]>=6", "flower; extra == 'worker'"),
        package(tmp_path, "redis", "8.0", "fast-parser; extra == 'fast'", "jwt; extra == 'jwt'"),
        package(tmp_path, "fast_parser", "1.0", "redis"),
        package(tmp_path, "jwt", "1.0"),
        package(tmp_path, "flower", "1.0"),
    )
    assert of.behind(of.needs()).keys() == {"redis", "fast-parser"}


# --- how they are kept


def whole(mark: str = "") -> Callable[[Path], None]:
    """Makes what counts as an environment."""

    def make(staging: Path) -> None:
        (staging / "bin").mkdir()
        (staging / "bin" / "python").write_text(mark)
        (staging / NOTES).write_text("[]")

    return make


def ignore(line: str) -> None:
    del line


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    first = store.kept(tmp_path, "key", whole("first"), ignore)
    assert store.kept(tmp_path, "key", whole("second"), ignore) == first
    assert (first / "bin" / "python").read_text() == "first"


def test_a_failed_making_leaves_nothing(tmp_path: Path) -> None:
    def fail(staging: Path) -> None:
        whole()(staging)
        raise IsolationError("no such package")

    with pytest.raises(IsolationError, match="no such package"):
        store.kept(tmp_path, "key", fail, ignore)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_an_environment_whose_interpreter_is_gone_is_made_anew(tmp_path: Path) -> None:
    root = store.kept(tmp_path, "key", whole("first"), ignore)
    (root / "bin" / "python").unlink()
    (root / "bin" / "python").symlink_to("/nowhere")
    assert (store.kept(tmp_path, "key", whole("second"), ignore) / "bin" / "python").read_text() == "second"


def test_whoever_comes_second_waits_for_the_first(tmp_path: Path) -> None:
    waited = threading.Event()

    def make(staging: Path) -> None:
        second.start()
        assert waited.wait(PATIENCE)
        whole("first")(staging)

    second = threading.Thread(
        target=store.kept, args=(tmp_path, "key", whole("second"), lambda line: waited.set()), daemon=True
    )
    root = store.kept(tmp_path, "key", make, ignore)
    second.join(PATIENCE)
    assert not second.is_alive()
    assert (root / "bin" / "python").read_text() == "first"


def test_what_nobody_used_for_a_lifetime_is_removed_unless_a_process_runs_in_it(tmp_path: Path) -> None:
    used, forgotten, held = (store.kept(tmp_path, key, whole(), ignore) for key in ("used", "forgotten", "held"))
    for root in (forgotten, held):
        os.utime(root / "used", (0, 0))
    with (held / "used").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        store.prune(tmp_path)
    assert [root.exists() for root in (used, forgotten, held)] == [True, False, True]
    store.prune(tmp_path)
    assert not held.exists()


def test_what_was_left_half_made_is_removed_but_not_what_is_being_made(tmp_path: Path) -> None:
    left, current = tmp_path / ".left~1", tmp_path / ".current~2"
    for folder in (left, current):
        folder.mkdir()
    with (tmp_path / ".current.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        store.prune(tmp_path)
    assert (left.exists(), current.exists()) == (False, True)


# --- the processes in it


@pytest.mark.parametrize(
    ("command", "is_pip"),
    [
        ("python -m pip install x", True),
        ("python -I -m pip", True),
        ("python /env/bin/pip3 install x", True),
        ("python -m spaces.script app.py pip", False),
        ("python -c pip", False),
        ("python -m", False),
        ("python", False),
    ],
)
def test_pip_is_known_by_its_command_line(command: str, is_pip: bool) -> None:
    assert runs_pip(command.split()) is is_pip


def test_the_farm_s_interpreter_needs_no_variables(tmp_path: Path) -> None:
    assert variables_of(tmp_path / "bin" / "python") == {}


def test_an_environment_s_interpreter_finds_its_own_programs_first(tmp_path: Path) -> None:
    root = store.kept(tmp_path, "key", whole(), ignore)
    variables = variables_of(root / "bin" / "python")
    assert variables["PATH"].startswith(f"{root / 'bin'}:")
    assert variables["VIRTUAL_ENV"] == str(root)
