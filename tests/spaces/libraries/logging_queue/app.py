import os

import spaces
import io
import logging
import logging.handlers
import queue
import time

HELD = io.StringIO()
LINES = queue.Queue()
LISTENER = logging.handlers.QueueListener(LINES, logging.StreamHandler(HELD))
LISTENER.start()
LOGGER = logging.getLogger("of-the-space")
LOGGER.propagate = False
LOGGER.addHandler(logging.handlers.QueueHandler(LINES))


def compute():
    HELD.truncate(0)
    HELD.seek(0)
    LOGGER.warning("a line")
    until = time.monotonic() + 5
    while not HELD.getvalue() and time.monotonic() < until:
        time.sleep(0.01)
    return HELD.getvalue()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
