"""OpenCV: in a fork it computes with one thread but reports all of them, and setting their number has no effect.

Its pool must have ended before the fork: then a child makes a new one.
"""

from __future__ import annotations

import sys

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(_: Objects) -> Revive | None:
    """The zygote ends its threads; a child gets as many as before."""
    cv2 = sys.modules["cv2"]
    if not hasattr(cv2, "getNumThreads"):
        return None  # it was imported in part
    threads = cv2.getNumThreads()
    if threads <= 1:
        return None
    cv2.setNumThreads(1)
    return lambda: cv2.setNumThreads(threads)
