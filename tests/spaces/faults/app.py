"""A Space of everything that can go wrong with a GPU function, and of a few that go right. It has no interface."""

import os
import signal
import threading
import time

import spaces

LOCK = threading.Lock()
OPENED = time.time()


@spaces.GPU
def add(a, b):
    return a + b


@spaces.GPU
def pid():
    return os.getpid()


@spaces.GPU
def is_on_main_thread():
    return threading.current_thread() is threading.main_thread()


@spaces.GPU
def environment():
    return dict(os.environ)


@spaces.GPU
def draw():
    import random

    return random.random()


@spaces.GPU(duration=600)
def nap(seconds):
    time.sleep(seconds)
    return os.getpid()


@spaces.GPU(duration=600)
def nap_with(seconds, array):
    time.sleep(seconds)
    return array.nbytes


@spaces.GPU(duration=2)
def loop_in_c():
    sum(range(10**12))


@spaces.GPU(duration=2)
def tidy_up(path):
    try:
        while True:
            time.sleep(0.01)
    finally:
        with open(path, "w") as file:
            file.write("tidied")


@spaces.GPU
def fail():
    raise ValueError("no such prompt")


@spaces.GPU
def first_above(items, self, duration, timeout):
    assert (self, timeout) == ("me", 3)
    return next(item for item in items if item > duration)


@spaces.GPU
def leave():
    os._exit(3)


@spaces.GPU
def crash():
    signal.raise_signal(signal.SIGSEGV)


@spaces.GPU
def give_up_by_signal(number):
    """As numba does where it cannot compute: it raises a signal, and comes back without a result if that is handled."""
    signal.raise_signal(number)
    return 0.0


@spaces.GPU
def return_lock():
    return threading.Lock()


@spaces.GPU
def same_lock(lock):
    return lock is LOCK


@spaces.GPU(duration=600)
def count(n, pause=0.0):
    for number in range(n):
        yield number
        time.sleep(pause)
    return "counted"


@spaces.GPU(duration=600)
def frames(n, size):
    for number in range(n):
        yield bytes([number % 256]) * size
    return bytes(size)


@spaces.GPU(duration=600)
def reversed_when(path, data):
    """Runs until the file is there: as long as a test needs it."""
    while not os.path.exists(path):
        time.sleep(0.01)
    return data[::-1]


@spaces.GPU
def yield_then_fail():
    yield 1
    yield 2
    raise KeyError("third")


@spaces.GPU
def run_ahead(path, n):
    for number in range(n):
        with open(path, "w") as file:
            file.write(str(number))
        yield number


@spaces.GPU
def spawn(path):
    import subprocess

    process = subprocess.Popen(["sleep", "600"])
    with open(path, "w") as file:
        file.write(str(process.pid))
    time.sleep(600)


@spaces.GPU
def detach(path, seconds=0.0, exit_code=None):
    """Start a process that leaves the group and loses its parent, as daemons do."""
    import subprocess

    subprocess.run(
        ["setsid", "-f", "sh", "-c", f"echo $$ > {path}.new; mv {path}.new {path}; exec sleep 600"], check=True
    )
    while not os.path.exists(path):
        time.sleep(0.01)
    time.sleep(seconds)
    if exit_code is not None:
        os._exit(exit_code)
    return os.getpid()


@spaces.GPU
def nested(a, b):
    return add(a, b) + add(b, a)


@spaces.GPU
async def add_later(a, b):
    return a + b


@spaces.GPU
async def count_later(n):
    for number in range(n):
        yield number


@spaces.GPU
def echo(value):
    return value


@spaces.GPU
def read(path):
    with open(path) as file:
        return file.read()
