"""The pages of a farm as others read of them: `spaces/farm/page_addresses.py`."""

from __future__ import annotations

from collections.abc import Sequence

from spaces.farm.page_addresses import Page
from spaces.farm.queue import settings
from spaces_workers.nursery.roster import Warmth
from spaces_workers.setup.served_space import ServedSpace
from spaces_workers.up.keeper import Keeper


def page_of(space: ServedSpace, keeper: Keeper | None, warmth: Warmth, memory_bytes: int) -> Page:
    """The page of a Space; None: it has not been started."""
    return Page(
        url=url_of([keeper] if keeper else []),
        serving=keeper.serving if keeper else "queued",
        title=space.title,
        emoji=space.emoji,
        description=space.description,
        colour_from=space.colour_from,
        colour_to=space.colour_to,
        problem=keeper.problem if keeper else "",
        importing=keeper.importing if keeper else "",
        root_path=settings.of_space(space.name).root_path,
        warmth=warmth,
        memory_bytes=memory_bytes,
    )


def url_of(keepers: Sequence[Keeper]) -> str:
    """The URL of the first, if a visitor gets its page."""
    return keepers[0].service.url if keepers and keepers[0].has_page else ""
