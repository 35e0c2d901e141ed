import os

import spaces
import queue
import threading

ASKED, ANSWERED = queue.Queue(), queue.Queue()


def serve():
    while True:
        ANSWERED.put(ASKED.get() * 2)


threading.Thread(target=serve, daemon=True).start()


def compute():
    ASKED.put(21)
    return ANSWERED.get()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
