"""`zerofarm drain`: let a worker finish its task and take no other."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
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

#: Seconds for a worker that starts here to join the farm, before it is told as one that cannot be drained.
START = 60.0


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
        if worker is None:
            use_kept_name(state_dir)
            with options.using(run_dir) as run_dir:
                drained = _drain_here(queue, run_dir)
        else:
            drained = _drain_node(queue, known_worker(queue, worker))
        while not no_wait and any(queue.redis.scard(queue.keys.held(worker_id)) for worker_id in drained.ids):
            time.sleep(INTERVAL)
        for node in drained.nodes:
            print(f"{node} {'takes no task any more' if no_wait else 'is drained'}")


@dataclass(frozen=True, slots=True)
class _Drained:
    nodes: Sequence[str]
    ids: Collection[str]  #: of these very processes: what starts later under the same name is not waited for


def _drain_node(queue: Queue, node: str) -> _Drained:
    controls(queue).drain(node)
    return _Drained([node], [each for each, info in queue.leases.workers().items() if info.get("node") == node])


def _drain_here(queue: Queue, run_dir: Path) -> _Drained:
    """Drain each by its id, also one that starts and has a GPU, but no lease yet. Raises ControlFault."""
    host, deadline, drained = config.current().host, time.monotonic() + START, dict[str, str]()
    while True:
        claims = {(f"{name}@{host}", pid) for name, pid in workers_here(run_dir).items()}
        leases = {(info.get("node"), info.get("pid")): each for each, info in queue.leases.workers().items()}
        for node, pid in claims & leases.keys():
            if (worker := leases[node, pid]) not in drained:
                controls(queue).drain(worker)
                drained[worker] = node
        starting = sorted(node for node, _ in claims - leases.keys())
        if not starting:
            break
        if time.monotonic() > deadline:
            raise ControlFault(f"{', '.join(starting)} runs here, but after {START:g} s has not joined this farm")
        time.sleep(INTERVAL)
    if not drained:
        raise ControlFault(f"no worker runs on this machine, or in this container, with the run directory {run_dir}")
    return _Drained(sorted(drained.values()), drained)
