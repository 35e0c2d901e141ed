"""`zerofarm drain`: let a worker finish its task and take no other."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from spaces import config
from spaces.farm.queue.control.controls import ControlFault
from spaces.farm.queue.queue import Queue
from spaces_workers.commands import options
from spaces_workers.commands.queue.known import controls, farm_queue, known_worker
from spaces_workers.gpu.claim import workers_here
from spaces_workers.joining.membership import use_kept_name

Worker = Annotated[
    str, typer.Argument(metavar="WORKER", help="The name of a worker, as in `zerofarm status`: gpu0, or gpu0@host.")
]

#: Seconds between two looks at a worker that still runs a task.
INTERVAL = 0.2


def drain(
    worker: Annotated[
        str | None,
        typer.Argument(metavar="[WORKER]", help="The name of a worker, as in `zerofarm status`: gpu0, or gpu0@host."),
    ] = None,
    here: Annotated[
        bool, typer.Option("--here", help="The workers of this machine, or container, and until they end.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return before its task has ended.")] = False,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
    run_dir: options.RunDir = options.RUN_DIR,
) -> None:
    """Let a worker take no task, until `zerofarm undrain`, also after its restart. Waits for the task that it runs.

    With --here, before a container is stopped, for all workers in it: one that is started there later takes tasks.
    """
    if here == (worker is not None):
        raise ControlFault("name one worker to drain, or give --here for those of this machine or container")
    with farm_queue(redis_url, state_dir) as queue:
        nodes = _here(run_dir, state_dir) if worker is None else {known_worker(queue, worker)}
        names = _ids(queue, nodes) if here else nodes
        for name in sorted(names):
            controls(queue).drain(name)
        while not no_wait and _runs(queue, nodes):
            time.sleep(INTERVAL)
        for node in sorted(nodes):
            print(f"{node} {'takes no task any more' if no_wait else 'is drained'}")


def _here(run_dir: Path, state_dir: Path) -> set[str]:
    use_kept_name(state_dir)
    with options.using(run_dir) as run_dir:
        return {f"{name}@{config.current().host}" for name in workers_here(run_dir)}


def _ids(queue: Queue, nodes: Collection[str]) -> set[str]:
    return {worker for worker, info in queue.leases.workers().items() if info.get("node") in nodes}


def _runs(queue: Queue, nodes: Collection[str]) -> bool:
    return any(queue.redis.scard(queue.keys.held(worker)) for worker in _ids(queue, nodes))
