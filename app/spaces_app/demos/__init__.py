"""The Spaces that come with the farm, each a folder that would also run on Hugging Face as it is."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
STARTED_BY_DEFAULT = ("digits", "names", "search")


def default_demos() -> list[Path]:
    """The folders of the demos that need neither the hub nor a real GPU."""
    return [demo(name) for name in STARTED_BY_DEFAULT]


def demo(name: str) -> Path:
    """The folder of one demo; a `LookupError` says which there are.

    >>> demo("digits").name
    'digits'
    """
    known = sorted(script.parent.name for script in FOLDER.glob("*/app.py"))
    if name not in known:
        raise LookupError(f"no demo is called {name!r}; there are {', '.join(known)}")
    return FOLDER / name
