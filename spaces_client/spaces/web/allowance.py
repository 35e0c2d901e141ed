"""`spaces.quota()`: what a Space can show of what its visitor has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spaces import config
from spaces.config import Role

if TYPE_CHECKING:
    from spaces.farm.queue.quota import Quota


def quota() -> Quota | None:
    """What the current visitor has used and has left of the farm's GPUs; None where nobody is limited.

        def left():
            quota = spaces.quota()
            return "no limit" if quota is None or quota.left is None else f"{quota.left:.0f} s of GPU left"

        demo.load(left, outputs=label)

    The visitor is the one whose event calls it, in a handler of the page or a thread of it. Without a farm, with quotas
    off, and inside a GPU function the answer is None. Raises redis's errors where the broker does not answer.
    """
    if config.current().role is not Role.WEB:
        return None
    from spaces.web.client import current_client

    found: Quota | None = current_client().quota()
    return found
