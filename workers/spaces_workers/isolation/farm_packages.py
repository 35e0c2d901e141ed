"""The packages of the farm's own environment, and how a Space's environment shares them.

First every package is *claimed*: its metadata alone is copied into the Space's packages, so that uv and pip consider it
installed. They replace a claim if a Space needs another version, and delete only the claim. The packages that are still
claimed afterwards are *lent*: linked into a folder that is searched after the Space's own packages.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

#: The text in a claim's INSTALLER file.
CLAIMED = "zerofarm"

#: Our own distribution, and its packages, which are searched first.
OURS = "zerofarm"
_OUR_PACKAGES = ("spaces", "spaces_workers", "spaces_app")


class Package:
    """One distribution of the farm."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution
        self.name = canonicalize_name(distribution.metadata["Name"])
        self.version = distribution.version

    @cached_property
    def requires(self) -> tuple[Requirement, ...]:
        """Its requirements, including those of its extras."""
        return tuple(_readable(self._distribution.requires or ()))

    def needs(self, extras: Iterable[str] = ()) -> Iterator[Requirement]:
        """Its requirements on this platform, with these extras."""
        wanted = ["", *extras]
        for each in self.requires:
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in wanted):
                yield each

    def claim(self, folder: Path) -> None:
        """Make it appear installed in a folder of packages."""
        claim = folder / f"{self.name.replace('-', '_')}-{self.version}.dist-info"
        claim.mkdir()
        files = {
            "METADATA": self._distribution.read_text("METADATA") or self._distribution.read_text("PKG-INFO"),
            "WHEEL": self._distribution.read_text("WHEEL"),
            "entry_points.txt": self._distribution.read_text("entry_points.txt"),
            "INSTALLER": f"{CLAIMED}\n",
        }
        there = {name: text for name, text in files.items() if text}
        for name, text in there.items():
            (claim / name).write_text(text, encoding="utf-8")
        # The RECORD lists only the claim itself, so uninstalling the package deletes nothing of the farm.
        (claim / "RECORD").write_text("".join(f"{claim.name}/{name},,\n" for name in [*there, "RECORD"]))

    def lend(self, folder: Path) -> None:
        """Make it importable from a folder."""
        for top in self._tops():
            target, link = Path(str(self._distribution.locate_file(top))), folder / top
            if target.exists() and not link.exists():
                link.symlink_to(target)

    def _tops(self) -> set[str]:
        """Its files and folders in the farm's folder of packages."""
        record = self._distribution.read_text("RECORD")
        if record is None:
            names = (self._distribution.read_text("top_level.txt") or "").split()
            return {form for name in names for form in (name, f"{name}.py")}
        tops = {row[0].partition("/")[0] for row in csv.reader(record.splitlines()) if row}
        return {top for top in tops if top not in ("..", "__pycache__", "") and not top.endswith(".dist-info")}


@dataclass(frozen=True)
class Farm:
    """The farm's own environment."""

    packages: dict[str, Package]  #: by canonical name

    @classmethod
    def of_this_process(cls) -> Farm:
        """The packages that this process can import; of two copies, the one that it would import."""
        found: dict[str, Package] = {}
        for distribution in distributions():
            if distribution.metadata["Name"]:
                package = Package(distribution)
                found.setdefault(package.name, package)
        return cls(found)

    def version(self, name: str) -> str:
        """The version of a package; empty if the farm lacks it."""
        package = self.packages.get(canonicalize_name(name))
        return package.version if package else ""

    def needs(self) -> list[Requirement]:
        """The requirements of our own packages."""
        return list(self.packages[OURS].needs()) if OURS in self.packages else []

    def behind(self, needs: Sequence[Requirement]) -> dict[str, Package]:
        """The packages that meet these requirements, and their own requirements in turn."""
        found: dict[str, Package] = {}
        waiting = list(needs)
        done = set()
        while waiting:
            need = waiting.pop()
            package = self.packages.get(canonicalize_name(need.name))
            if package is not None and (package.name, frozenset(need.extras)) not in done:
                done.add((package.name, frozenset(need.extras)))
                found[package.name] = package
                waiting.extend(package.needs(need.extras))
        return found

    def unfit(self, versions: dict[str, str]) -> set[str]:
        """The packages that cannot be lent beside these versions, because they need another version of one.

        `versions` are those of the Space's environment, by canonical name, including claims. A requirement that the
        farm itself does not meet is ignored.
        """
        there = dict(versions)
        unfit: set[str] = set()
        while broken := {name for name in self._lent(there) if self._misses_something(self.packages[name], there)}:
            unfit |= broken
            for name in broken:
                del there[name]
        return unfit

    def _lent(self, versions: dict[str, str]) -> Iterator[str]:
        return (name for name, package in self.packages.items() if versions.get(name) == package.version)

    def _misses_something(self, package: Package, versions: dict[str, str]) -> bool:
        return any(
            _satisfied(need, self.version(need.name)) and not _satisfied(need, versions.get(_name(need), ""))
            for need in package.needs()
        )


def fingerprint() -> str:
    """A digest that changes with the farm's packages; lists each folder of packages."""
    seen = sha256()
    for folder in map(Path, sys.path):
        if folder.is_dir():
            infos = sorted(each.name for each in folder.iterdir() if each.suffix in (".dist-info", ".egg-info"))
            seen.update(f"{folder}\0{infos}\0".encode() if infos else b"")
    return seen.hexdigest()


def our_folders() -> dict[str, str]:
    """Our packages with their folders, installed or in the source tree."""
    specs = {name: find_spec(name) for name in _OUR_PACKAGES}
    return {
        name: spec.submodule_search_locations[0]
        for name, spec in specs.items()
        if spec is not None and spec.submodule_search_locations
    }


def _readable(needs: Iterable[str]) -> Iterator[Requirement]:
    """The requirements that follow the standard; old packages may have others, and work nevertheless."""
    for need in needs:
        with suppress(InvalidRequirement):
            yield Requirement(need)


def _satisfied(need: Requirement, version: str) -> bool:
    return bool(version) and need.specifier.contains(version, prereleases=True)


def _name(need: Requirement) -> str:
    return canonicalize_name(need.name)
