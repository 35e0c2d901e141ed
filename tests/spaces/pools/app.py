"""A Space whose executors, pools and event loop have all worked before it launches. It has no interface."""

import asyncio
import io
import logging
import logging.handlers
import multiprocessing
import multiprocessing.pool
import queue
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import spaces

THREADS = ThreadPoolExecutor(4)
PROCESSES = ProcessPoolExecutor(1)
POOL = multiprocessing.Pool(1)
THREAD_POOL = multiprocessing.pool.ThreadPool(2)
LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()

WRITTEN = io.StringIO()
LINES = queue.Queue()
LISTENER = logging.handlers.QueueListener(LINES, logging.StreamHandler(WRITTEN))
LISTENER.start()
LOGGER = logging.getLogger("of the space")
LOGGER.propagate = False
LOGGER.addHandler(logging.handlers.QueueHandler(LINES))


async def double(number):
    await asyncio.sleep(0.01)
    return number * 2


def use_each():
    return [
        sum(THREADS.map(abs, range(-10, 0))),
        sum(PROCESSES.map(abs, range(-10, 0))),
        sum(POOL.map(abs, range(-10, 0))),
        sum(THREAD_POOL.map(abs, range(-10, 0))),
        asyncio.run_coroutine_threadsafe(double(21), LOOP).result(),
    ]


FIRST = use_each()


@spaces.GPU(duration=20)
def again():
    return FIRST, use_each()


@spaces.GPU(duration=20)
def log(line):
    LOGGER.warning(line)
    while line not in WRITTEN.getvalue():
        time.sleep(0.01)
    return WRITTEN.getvalue()
