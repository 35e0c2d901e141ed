"""The Spaces, workers and tasks that an operator may name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from spaces.farm.connection import connect
from spaces.farm.queue.control.audit import this_user
from spaces.farm.queue.control.controls import ControlFault, Controls, drained, terms
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry
from spaces.farm.queue.status import StatusReader
from spaces_workers.commands import options
from spaces_workers.commands.broker_errors import naming_broker

KnownTask: TypeAlias = Annotated[
    str, typer.Argument(metavar="TASK", help="A task's id, or its first characters; see `zerofarm status`.")
]


@contextmanager
def farm_queue(redis_url: str | None, state_dir: Path) -> Iterator[Queue]:
    """The queue of the farm that the options name. Within this, errors of a broker that is away name it."""
    url = options.broker_url(redis_url, state_dir)
    with connect(url) as redis, naming_broker(url):
        yield Queue(redis)


def controls(queue: Queue) -> Controls:
    """The controls of the queue, for the user of this process."""
    return Controls(queue, this_user())


def known_space(queue: Queue, name: str) -> str:
    """The name, if the farm knows such a Space. Raises ControlFault."""
    known = {record.name for record in Registry(queue.redis).all()} | terms(queue).keys()
    if name not in known:
        raise ControlFault(f"the farm knows no Space {name!r}; it knows: {', '.join(sorted(known)) or 'none'}")
    return name


def known_worker(queue: Queue, name: str) -> str:
    """The node of the only worker with this name, such as `gpu0` or `gpu0@host`. Raises ControlFault."""
    nodes = {str(info["node"]) for info in queue.leases.workers().values() if "node" in info}
    nodes |= {name.partition(":")[0] for name in drained(queue)}
    found = _called(name, nodes)
    if len(found) == 1:
        return found[0]
    if found:
        raise ControlFault(f"{len(found)} workers are called {name}: give one of {', '.join(found)}")
    raise ControlFault(f"the farm has no worker {name!r}; it has: {', '.join(sorted(nodes)) or 'none'}")


def known_task(queue: Queue, beginning: str) -> str:
    """The id of the only task that begins so. Raises ControlFault."""
    found = StatusReader(queue).task_ids(beginning.lower())
    if len(found) == 1:
        return found[0]
    if found:
        raise ControlFault(f"{len(found)} tasks begin with {beginning!r}: give more of the id")
    raise ControlFault(f"the farm knows no task {beginning!r}: see `zerofarm status` for its tasks")


def _called(name: str, nodes: Collection[str]) -> list[str]:
    return [name] if name in nodes else sorted(node for node in nodes if node.partition("@")[0] == name)
