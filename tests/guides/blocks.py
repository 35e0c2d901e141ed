"""The code of a document in `docs`, for tests that run it."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

_HEADING = re.compile(r"^## (.*)$", re.M)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(document: str, heading: str, language: str) -> list[str]:
    """The blocks of one language below a heading of the second level."""
    parts = _HEADING.split((DOCS / document).read_text())
    return [block for kind, block in _FENCE.findall(parts[parts.index(heading) + 1]) if kind == language]


def block(document: str, heading: str, language: str) -> str:
    """The only one."""
    (found,) = blocks(document, heading, language)
    return found
