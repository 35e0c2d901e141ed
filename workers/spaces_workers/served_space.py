"""A Space as it is named on the command line: a folder or a script, and what its README says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spaces.errors import SpacesError
from spaces.source import Source
from spaces.space import name_of, source_at


class SpaceFault(SpacesError):
    """What was given is no Space."""


@dataclass(frozen=True, slots=True)
class ServedSpace:
    """One Space to serve."""

    name: str
    app_file: Path
    title: str = ""
    emoji: str = ""
    colour_from: str = ""
    colour_to: str = ""


def served_space(path: Path) -> ServedSpace:
    """The Space in a folder with `app.py` or with a README that names its script, or in a script. Raises SpaceFault."""
    app_file = _app_file(path)
    source = Source(path.resolve() / "app.py") if path.is_dir() else source_at(app_file)
    card = {} if source.alone else _card(source.root)
    told = [card.get(key, "") for key in ("title", "emoji", "colorFrom", "colorTo")]
    return ServedSpace(name_of(source), app_file, *told)


def served_spaces(paths: Iterable[Path]) -> list[ServedSpace]:
    """Several Spaces, each under a name of its own: a second `demo` becomes `demo-2`."""
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
        named = _card(path).get("app_file", "app.py")
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


def _card(folder: Path) -> dict[str, str]:
    """The front matter of the README, as far as it is plain `key: value` lines."""
    try:
        lines = (folder / "README.md").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    if not lines or lines[0].strip() != "---":
        return {}
    card: dict[str, str] = {}
    for line in lines[1:]:
        if line.strip() == "---":
            return card
        key, colon, value = line.partition(":")
        if colon and key == key.strip():
            card[key] = value.strip().strip("\"'")
    return {}
