"""A Space whose function passes work to a thread of the Space. It has no interface."""

import os
import queue
import threading
import time

import spaces

ASKED, ANSWERED = queue.Queue(), queue.Queue()


def serve():
    while True:
        ANSWERED.put(ASKED.get() * 2)


threading.Thread(target=serve, name="doubler", daemon=True).start()


@spaces.GPU(duration=20)
def double(number):
    ASKED.put(number)
    return ANSWERED.get()


@spaces.GPU(duration=4)
def wait_for_nothing():
    queue.SimpleQueue().get()


@spaces.GPU(duration=4)
def wait_for_the_clock():
    time.sleep(60)


@spaces.GPU(duration=20)
def parents():
    """The command line of the process that made this one."""
    with open(f"/proc/{os.getppid()}/cmdline") as file:
        return file.read().replace("\0", " ")


@spaces.GPU
def pid():
    return os.getpid()


@spaces.GPU
def leave():
    os._exit(3)
