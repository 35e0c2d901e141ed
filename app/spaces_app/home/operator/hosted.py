"""The Spaces that `zerofarm up` serves, for the operator's page: their revisions, and since when."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from spaces.errors import SpacesError
from spaces.farm.links.operator_line import ask

#: Seconds in which a farm answers that is well.
PATIENCE = 1.0


def hosted(state_dir: Path) -> dict[str, Any]:  # Any: JSON, as `up/control/actions.py` describes a page
    """The pages of `zerofarm up` by Space; none where it does not run, or does not answer."""
    with suppress(SpacesError, OSError, ValueError):
        pages = ask(state_dir, "list", "the operator's page", _unsaid, PATIENCE)["spaces"]
        return {page["space"]: page for page in pages}
    return {}


def _unsaid(note: str) -> None:
    """The page has no place for it."""
