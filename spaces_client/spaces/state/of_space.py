"""The globals of the Space that this process runs."""

from __future__ import annotations

from functools import cache

from spaces import space
from spaces.functions.function import functions
from spaces.state.space_globals import SpaceGlobals


@cache
def space_globals() -> SpaceGlobals:
    """The globals that the web process and the children of this Space share, as of the script's launch."""
    return SpaceGlobals(space.modules(), [each.function for each in functions.values()])
