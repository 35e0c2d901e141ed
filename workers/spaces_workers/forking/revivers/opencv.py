"""OpenCV computes on with one thread, and still says that it has all of them; telling it their number changes nothing.

Its pool must be gone before the fork: then a child makes a new one.
"""

from __future__ import annotations

import sys

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(_: Objects) -> Revive | None:
    """The zygote gives up its threads; a child has as many as the Space had."""
    cv2 = sys.modules["cv2"]
    if not hasattr(cv2, "getNumThreads"):
        return None  # it was imported in part
    threads = cv2.getNumThreads()
    if threads <= 1:
        return None
    cv2.setNumThreads(1)
    return lambda: cv2.setNumThreads(threads)
