"""`spaces.quota()`: the visitor's quota, for a Space to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spaces import role
from spaces.role import Role

if TYPE_CHECKING:
    from spaces.farm.queue.quota import Quota


def quota() -> Quota | None:
    """The used and remaining quota of the current visitor; None if visitors are not limited.

        def left():
            quota = spaces.quota()
            return "no limit" if quota is None or quota.left is None else f"{int(quota.left)} s of GPU left"

        demo.load(left, outputs=label)

    Call it in a handler of the page, or in a thread that the handler started: it returns the quota of the visitor whose
    event runs. Without a farm, with quotas off, and inside a GPU function it returns None. Raises redis's errors if the
    broker does not answer.
    """
    if role.current() is not Role.WEB:
        return None
    from spaces.web.client import current_client

    found: Quota | None = current_client().quota()
    return found
