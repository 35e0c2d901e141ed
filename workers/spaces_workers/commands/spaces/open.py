"""`zerofarm open`: show a Space in a browser."""

from __future__ import annotations

import webbrowser

from spaces.errors import SpacesError
from spaces_workers.commands import options
from spaces_workers.commands.spaces.asking import Space, ask


def open(space: Space, state_dir: options.StateDir = options.STATE_DIR) -> None:  # noqa: A001 - the command
    """Open the page of a Space in a browser, and print its address."""
    found = {each["space"]: each for each in ask(state_dir, "list")["spaces"]}
    if space not in found:
        raise SpacesError(f"zerofarm up serves no Space {space!r}; it serves: {', '.join(sorted(found)) or 'none'}")
    if not found[space]["url"]:
        raise SpacesError(f"Space {space} has no page now: {found[space]['problem'] or found[space]['state']}")
    print(found[space]["url"])
    webbrowser.open(found[space]["url"])
