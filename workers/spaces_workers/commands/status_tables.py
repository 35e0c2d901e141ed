"""The status of a farm as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from spaces.farm.farm_status import ON_DEVICE, FarmStatus, QueueStatus, ResidentStatus, TaskStatus
from spaces.farm.page_addresses import Page
from spaces.farm.units import seconds_in_words

MIB, GIB = 2**20, 2**30

_COLOURS = {"running": "cyan", "queued": "yellow", "succeeded": "green"}


def tables(status: FarmStatus) -> Iterator[Table]:
    """Tables of workers, Spaces with their queues, tasks, and refused tasks if there are any."""
    yield _workers(status)
    yield _spaces(status)
    yield _tasks(status)
    if status.refusals:
        yield _refusals(status)


def _workers(status: FarmStatus) -> Table:
    table = _table("Workers", "worker", "device", "held", "sizes", "runs", "Spaces", "done")
    for worker in status.workers:
        table.add_row(
            escape(worker.name),
            escape(worker.device),
            f"{worker.held_bytes / GIB:.1f} of {worker.memory_bytes / GIB:.0f} GiB",
            " ".join(worker.sizes),
            escape(", ".join(filter(None, (*worker.busy, "drained" * worker.drained)))) or "-",
            escape("\n".join(map(_resident, worker.residents)) or ", ".join(worker.warm)) or "-",
            str(worker.done),
        )
    return table


def _resident(resident: ResidentStatus) -> str:
    host = f" + {resident.host_bytes / GIB:.1f} GiB of the host" if resident.host_bytes else ""
    level = "" if resident.level == ON_DEVICE else f"{resident.level}, "
    return f"{resident.space} ({level}{resident.held_bytes / GIB:.1f} GiB{host})"


def _place(page: Page) -> str:
    if page.serving == "serving":
        return page.url + " warming" * (page.warmth == "warming")
    return " ".join(filter(None, (page.url, page.serving, page.problem)))


def _spaces(status: FarmStatus) -> Table:
    waiting = ", ".join(map(_queue, status.queues))
    table = _table(
        f"Spaces (waiting in the queues: {waiting})", "Space", "page", "functions", "waiting", "running", "memory"
    )
    for space in status.spaces:
        page = space.page
        place = _place(page) if page else "-" if space.served else "nobody serves it"
        functions = escape(" ".join(space.functions))
        memory = _host_memory(page.memory_bytes if page else 0)
        waiting = f"{space.waiting}, paused" if space.terms.paused else str(space.waiting)
        most = f" of {space.terms.max_gpus}" if space.terms.max_gpus else ""
        name = f"{space.name} (pinned)" if space.terms.pinned else space.name
        table.add_row(escape(name), escape(place), functions, waiting, f"{space.running}{most}", memory)
    return table


def _host_memory(size_bytes: int) -> str:
    return f"{size_bytes / MIB:.0f} MiB" if size_bytes else "-"


def _queue(queue: QueueStatus) -> str:
    wait = f" for about {seconds_in_words(queue.expected_wait)}" if queue.expected_wait else ""
    return f"{queue.size} {queue.waiting}{wait}"


def _refusals(status: FarmStatus) -> Table:
    table = _table("Refused in the last weeks", "limit", "tasks")
    for refused in status.refusals:
        table.add_row(escape(refused.limit), str(refused.tasks))
    return table


def _tasks(status: FarmStatus) -> Table:
    table = _table("Tasks", "task", "what", "state", "worker", "for")
    for task in status.tasks:
        colour = _COLOURS.get(task.state, "red")
        place = f" ({task.position} ahead)" if task.position else ""
        table.add_row(
            task.id[:12],
            escape(task.label),
            f"[{colour}]{task.state}{place}[/{colour}]",
            escape(task.worker) or "-",
            _duration(task, status.now),
        )
    return table


def _duration(task: TaskStatus, now: float) -> str:
    """How long the task has been in its state, or how long it ran if it has ended."""
    if task.ended_at is not None:
        return f"{task.ended_at - (task.started_at or task.ended_at):.1f} s"
    return f"{max(0.0, now - task.changed_at):.1f} s"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
