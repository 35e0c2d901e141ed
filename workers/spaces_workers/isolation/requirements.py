"""Reads a Space's requirements: `pre-requirements.txt`, then `requirements.txt`, and the files that they include."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from spaces.source import Source

FILES = ("pre-requirements.txt", "requirements.txt")

#: The options that uv accepts in a requirements file. pip has a few more, none of which selects packages.
_KNOWN_OPTIONS = {
    "-e", "--editable", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index",
    "--no-binary", "--only-binary", "--hash",
}  # fmt: skip

_OPTION = re.compile(r"\s*(--?[a-z][a-z-]*)[\s=]*(.*?)(?:\s+#.*)?$")
_LOCAL = re.compile(r"\s*(-e|--editable|\.|/|file:)|.*@\s*file:")


@dataclass(frozen=True, slots=True)
class Requirements:
    """The lines of all files, with those of `-r` files in place."""

    lines: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()  #: the lines of `-c` files
    ignored: tuple[str, ...] = ()  #: options that have no effect here
    prereleases: bool = False  #: `--pre` was given

    @property
    def names_local_files(self) -> bool:
        """Whether a requirement is installed from the Space's own folder."""
        return any(_LOCAL.match(line) for line in self.lines)

    def named(self) -> Iterator[Requirement]:
        """The requirements with a package name; not local files, URLs and options."""
        for line in self.lines:
            try:
                yield Requirement(line.partition(" #")[0].partition(" --")[0].rstrip("\\ \t"))
            except InvalidRequirement:
                continue

    def specifier(self, distribution: str) -> SpecifierSet | None:
        """The requested versions of a distribution on this platform; None if it is not requested."""
        wanted = canonicalize_name(distribution)
        found = None
        for each in self.named():
            if canonicalize_name(each.name) == wanted and (each.marker is None or each.marker.evaluate()):
                found = each.specifier if found is None else found & each.specifier
        return found


def requirements_of(source: Source) -> Requirements:
    """The requirements of a Space. A Space that is a single script has none: the files beside it are not its own."""
    reading = _Reading()
    if not source.alone:
        for name in FILES:
            reading.read(source.root / name)
    return Requirements(
        tuple(reading.lines), tuple(reading.constraints), tuple(dict.fromkeys(reading.ignored)), reading.prereleases
    )


class _Reading:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constraints: list[str] = []
        self.ignored: list[str] = []
        self.prereleases = False
        self._seen: set[Path] = set()

    def read(self, path: Path) -> None:
        for line in self._lines(path):
            option = _OPTION.match(line)
            if option is None:
                self.lines.append(line)
            else:
                self._follow(option[1], option[2], line, path.parent)

    def _follow(self, option: str, value: str, line: str, folder: Path) -> None:
        match option:
            case "-r" | "--requirement" | "--requirements":
                self.read(folder / value)
            case "-c" | "--constraint" | "--constraints":
                self.constraints.extend(self._lines(folder / value))
            case "--pre":
                self.prereleases = True
            case _ if option in _KNOWN_OPTIONS:
                self.lines.append(line)
            case _:
                self.ignored.append(option)

    def _lines(self, path: Path) -> list[str]:
        if "\0" in str(path):
            return []  # no file has such a name
        path = path.resolve()
        if path in self._seen or not path.is_file():
            return []
        self._seen.add(path)
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        return [line.rstrip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
