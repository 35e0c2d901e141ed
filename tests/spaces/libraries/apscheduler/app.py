import os

import spaces
from apscheduler.schedulers.background import BackgroundScheduler

SCHEDULER = BackgroundScheduler()
SCHEDULER.add_job(print, "interval", hours=1, args=["an hour has passed"])
SCHEDULER.start()


def compute():
    return len(SCHEDULER.get_jobs())


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
