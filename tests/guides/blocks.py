"""The parts of a document in `docs`, and their code, for tests that run it."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

_HEADING = re.compile(r"^## (.*)$", re.M)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def parts(document: str) -> dict[str, str]:
    """The texts below its headings of the second level."""
    _, *found = _HEADING.split((DOCS / document).read_text())
    return dict(zip(found[::2], found[1::2], strict=True))


def blocks(document: str, heading: str, language: str) -> list[str]:
    """The blocks of one language below a heading."""
    return [block for kind, block in _FENCE.findall(parts(document)[heading]) if kind == language]


def block(document: str, heading: str, language: str) -> str:
    """The only one."""
    (found,) = blocks(document, heading, language)
    return found
