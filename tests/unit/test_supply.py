"""The list of packages with hashes holds what a farm needs, in the versions that are tested together."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]

#: Which build of torch fits depends on the machine: it is chosen by version alone, and brings NVIDIA's libraries along.
OF_TORCH = re.compile(r"torch|triton|cuda-.*|nvidia-(?!ml-py).*")


def locked() -> dict[str, str]:
    """Each package with its version."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"\w", line)]
    return {each.name: str(each.specifier).removeprefix("==") for each in found}


def test_every_package_of_the_lock_has_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text()
    packages = re.split(r"\n(?=\w)", text)[1:]
    assert len(packages) == len(locked()) > 50
    assert all("--hash=sha256:" in each for each in packages)


def test_the_lock_has_the_versions_of_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines if "==" in line)
    versions = locked()
    both = {name: (version, versions[name]) for name, version in tested.items() if name in versions}
    assert len(both) > 50
    assert {name: each for name, each in both.items() if each[0] != each[1]} == {}, "run `make lock`"


def test_the_lock_has_whatever_a_farm_needs_but_the_build_of_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {Requirement(each).name for each in (*project["dependencies"], *extras["worker"], *extras["app"])}
    versions = locked()
    assert needed - versions.keys() == {"torch"}, "run `make lock`"
    assert [name for name in versions if OF_TORCH.fullmatch(canonicalize_name(name))] == []
