"""A Space named on the command line: a folder or a script, with the settings in its README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spaces.errors import SpacesError
from spaces.front_matter import front_matter
from spaces.space import name_of, source_at
from spaces_workers.isolation import MODULE


class SpaceFault(SpacesError):
    """The given path is no Space."""


@dataclass(frozen=True, slots=True)
class ServedSpace:
    """One Space to serve."""

    name: str
    app_file: Path
    title: str = ""
    emoji: str = ""
    colour_from: str = ""
    colour_to: str = ""
    description: str = ""
    is_bundled: bool = False  #: a demo, whose packages the farm's environment has

    @property
    def asks_for_packages(self) -> bool:
        """Whether the Space lists packages, or a version of Gradio, that it needs and may lack."""
        if self.is_bundled:
            return False
        source = source_at(self.app_file)
        files = ("requirements.txt", "packages.txt")
        named = any((source.root / name).is_file() for name in files) or "sdk_version" in front_matter(source.root)
        return named and not source.alone

    def command(self, state_dir: Path, *, isolate: bool) -> list[str]:
        """Arguments for the interpreter that run its web process, in its own environment if it asks for packages."""
        if isolate and self.asks_for_packages:
            own = ["--state-dir", str(state_dir), "--name", self.name]
            return [*MODULE, "spaces_workers.isolation", *own, str(self.app_file)]
        return [*MODULE, "spaces.script", str(self.app_file)]


def served_space(path: Path) -> ServedSpace:
    """The Space in a folder with `app.py` or with a README that names its script, or in a script. Raises SpaceFault."""
    app_file = _app_file(path)
    source = source_at(app_file)
    card = {} if source.alone else front_matter(source.root)
    return ServedSpace(
        name_of(source),
        app_file,
        title=card.get("title", ""),
        emoji=card.get("emoji", ""),
        colour_from=card.get("colorFrom", ""),
        colour_to=card.get("colorTo", ""),
        description=card.get("short_description", ""),
    )


def served_spaces(paths: Iterable[Path]) -> list[ServedSpace]:
    """Several Spaces with distinct names: a second `demo` becomes `demo-2`."""
    spaces: list[ServedSpace] = []
    for space in map(served_space, paths):
        spaces.append(replace(space, name=_distinct(space.name, spaces)))
    return spaces


def _distinct(name: str, others: Sequence[ServedSpace]) -> str:
    taken = {space.name for space in others}
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate


def _app_file(path: Path) -> Path:
    if path.is_dir():
        named = front_matter(path).get("app_file", "app.py")
        if not (path / named).is_file():
            raise SpaceFault(
                f"{path} has no {named}: a Space is a folder with app.py, or with a README.md whose front matter names "
                "its app_file"
            )
        return (path / named).resolve()
    if not path.exists():
        raise SpaceFault(f"there is no Space at {path}: give a folder with app.py, or a .py file")
    if path.suffix != ".py":
        raise SpaceFault(f"{path} is no Space: give a folder with app.py, or a .py file")
    return path.resolve()
