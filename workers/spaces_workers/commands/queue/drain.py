"""`zerofarm drain`: let a worker finish its task and take no other."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from spaces.farm.queue.queue import Queue
from spaces_workers.commands import options
from spaces_workers.commands.queue.known import controls, farm_queue, known_worker

Worker = Annotated[
    str, typer.Argument(metavar="WORKER", help="The name of a worker, as in `zerofarm status`: gpu0, or gpu0@host.")
]

#: Seconds between two looks at a worker that still runs a task.
INTERVAL = 0.2


def drain(
    worker: Worker,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return before its task has ended.")] = False,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Let a worker take no task, until `zerofarm undrain`, also after its restart. Waits for the task that it runs."""
    with farm_queue(redis_url, state_dir) as queue:
        node = known_worker(queue, worker)
        controls(queue).drain(node)
        while not no_wait and _runs(queue, node):
            time.sleep(INTERVAL)
        print(f"{node} {'takes no task any more' if no_wait else 'is drained'}")


def _runs(queue: Queue, node: str) -> bool:
    ids = [worker for worker, info in queue.leases.workers().items() if info.get("node") == node]
    return any(queue.redis.scard(queue.keys.held(worker)) for worker in ids)
