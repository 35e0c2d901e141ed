"""The parts of a folder that a Space must not see: the farm's directories, folders of other Spaces.

`zerofarm up` notes the folders of all Spaces that it serves, for the nursery, which is asked for some of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from spaces.source import Source
from spaces_workers.sandbox.description import Kind, Place


def note_served(state_dir: Path, sources: Iterable[Source]) -> None:
    """Replace the note of a farm."""
    roots = sorted({str(source.root.resolve()) for source in sources if not source.alone})
    draft = _path(state_dir).with_suffix(".draft")
    draft.write_text(json.dumps(roots))
    draft.replace(_path(state_dir))


def hidden(shown: Iterable[Place], state_dir: Path, run_dir: Path) -> Iterator[Place]:
    """Empty folders in the place of what these places of the host would show."""
    visible = [place.path for place in shown if place.path == place.source]
    for path in (str(state_dir), str(run_dir), *_served(state_dir)):
        if any(path.startswith(f"{each}/") for each in visible):
            yield Place(path, Kind.EMPTY)


def _served(state_dir: Path) -> list[str]:
    try:
        return [str(root) for root in json.loads(_path(state_dir).read_text())]
    except FileNotFoundError:
        return []


def _path(state_dir: Path) -> Path:
    return state_dir / "served.json"
