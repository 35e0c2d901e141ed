"""The addresses of a farm's pages, which the launcher knows and the broker does not.

Written by `zerofarm up` into the state directory, read by the home page and by `zerofarm status`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

Serving: TypeAlias = Literal["queued", "starting", "serving", "failed", "restarting", "idle"]


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one Space."""

    url: str
    serving: Serving
    title: str = ""
    emoji: str = ""
    description: str = ""  #: in a few words
    colour_from: str = ""  #: of its card, by Hugging Face's colour names
    colour_to: str = ""
    problem: str = ""  #: why it is not served, in one line
    importing: str = ""  #: the library that it imports now, while it starts
    root_path: str = ""  #: where a reverse proxy shows it; empty: nowhere
    warmth: str = ""  #: `ready`: a task finds its process on this host, `warming`: it is being made, `cold`: it is not
    memory_bytes: int = 0  #: of the host's memory, of all its processes there; 0: not measured yet


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a farm; a URL is empty while its page does not answer."""

    home: str = ""
    flower: str = ""
    spaces: Mapping[str, Page] = field(default_factory=dict)
    separation: str = ""  #: the level that separates Spaces: see docs/isolation.md
    tells_status: bool = False  #: the `zerofarm up` that writes this answers `status` at its control socket

    def write(self, path: Path) -> None:
        """Replace the file atomically."""
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps(asdict(self), indent=2))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def pages_path(state_dir: Path) -> Path:
    """The file in which the farm of a state directory writes its pages."""
    return state_dir / "pages.json"


def read_pages(path: Path) -> Pages:
    """The pages, or none if no farm has written any."""
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        return Pages()
    spaces = {name: Page(**page) for name, page in known["spaces"].items()}
    told = {name: known[name] for name in ("separation", "tells_status") if name in known}
    return Pages(known["home"], known["flower"], spaces, **told)
