"""`zerofarm load`: have a Space loaded on a GPU before anybody calls it."""

from __future__ import annotations

import math

from spaces.farm.celery.celery_app import make_celery
from spaces.farm.links import loading
from spaces.farm.queue.control.audit import this_user
from spaces_workers.commands import options
from spaces_workers.commands.queue.known import farm_queue, known_space
from spaces_workers.commands.queue.pause import Space


def load(space: Space, redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR) -> None:
    """Load a Space on the GPU of an idle worker, and wait until it is there. Ctrl-C ends the waiting alone."""
    url = options.broker_url(redis_url, state_dir)
    with farm_queue(redis_url, state_dir) as queue, make_celery(url) as app:
        task = loading.load(queue, app, known_space(queue, space), this_user())
        print(loading.outcome(queue, task, math.inf))
