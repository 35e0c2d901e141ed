"""`zerofarm status`, `cancel` and `doctor`: see what a farm does, stop a task, find out what is wrong."""

from __future__ import annotations

import json as json_format
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from redis import RedisError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spaces.errors import FarmUnavailable, SpacesError
from spaces.farm.connection import connect, redacted
from spaces.farm.pages import pages_path, read_pages
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces.farm.queue.status import StatusReader
from spaces_workers.commands import options
from spaces_workers.commands.status_tables import tables
from spaces_workers.doctor import machine as examination
from spaces_workers.doctor.finding import Finding
from spaces_workers.doctor.space import examine_space
from spaces_workers.setup.served_space import served_spaces

REASON = "cancelled by the operator"

_MARKS = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "problem": "[red]✗[/red]"}


def status(
    redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR, json: options.Json = False
) -> None:
    """Show workers, queues, Spaces and tasks."""
    url = options.broker_url(redis_url, state_dir)
    with connect(url) as redis, answering(url):
        found = StatusReader(Queue(redis)).read(read_pages(pages_path(state_dir)))
    if json:
        print(json_format.dumps(asdict(found)))
        return
    console = Console(highlight=False)
    for table in tables(found):
        console.print(table)


def cancel(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task's id, or how it begins; see `zerofarm status`.")],
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Stop a task, whether it waits or runs."""
    url = options.broker_url(redis_url, state_dir)
    with connect(url) as redis, answering(url):
        queue = Queue(redis)
        task_id = _only(task, StatusReader(queue).task_ids(task.lower()))
        outcome = queue.cancel(task_id, REASON)
    match outcome:
        case CancelOutcome.REMOVED:
            print(f"{task_id} was waiting and is removed")
        case CancelOutcome.TOLD:
            print(f"{task_id} is running; its worker was told to stop it")
        case CancelOutcome.ENDED:
            raise SpacesError(f"task {task_id} had ended before")
        case CancelOutcome.UNKNOWN:
            raise SpacesError(f"the farm does not know task {task_id} any more")


def doctor(
    spaces: Annotated[
        list[Path] | None, typer.Argument(metavar="[SPACE]...", help="Folders with app.py, or .py files, to check too.")
    ] = None,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
    json: options.Json = False,
) -> None:
    """Check what a farm needs of this machine; exit code 1 if something is wrong."""
    url = redis_url or options.named_in_environment() or options.running_broker(state_dir)
    findings = examination.examine(url)
    for space in served_spaces(spaces or []):
        findings += examine_space(space, state_dir)
    if json:
        print(json_format.dumps([asdict(finding) for finding in findings]))
    else:
        _show(findings)
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    table = Table(show_header=False, box=None)
    for finding in findings:
        remedy = f"\n[bold]{escape(finding.remedy)}[/bold]" if finding.remedy else ""
        table.add_row(_MARKS[finding.status], escape(finding.subject), escape(finding.message) + remedy)
    console = Console(highlight=False)
    console.print(table)
    counts = Counter(finding.status for finding in findings)
    console.print(f"{counts['problem']} problems, {counts['warning']} warnings")


def _only(beginning: str, ids: list[str]) -> str:
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise SpacesError(f"the farm knows no task {beginning!r}: `zerofarm status` names those that it knows")
    raise SpacesError(f"{len(ids)} tasks begin with {beginning!r}: give more of the id")


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Within this, a broker that does not answer is a FarmUnavailable that names it."""
    try:
        yield
    except RedisError as error:
        raise FarmUnavailable(f"the broker at {redacted(url)} does not answer: {error}") from error
