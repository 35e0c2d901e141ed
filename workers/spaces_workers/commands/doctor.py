"""`zerofarm doctor`: find problems of a machine or a Space."""

from __future__ import annotations

import json as json_format
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from spaces_workers.commands import options
from spaces_workers.commands.output import output
from spaces_workers.doctor import machine, sleep_trials
from spaces_workers.doctor.finding import Finding
from spaces_workers.doctor.host_memory import host_memory
from spaces_workers.doctor.separation import separation
from spaces_workers.doctor.settings_file import settings_file
from spaces_workers.doctor.space import examine_space
from spaces_workers.setup.served_space import served_spaces
from spaces_workers.setup.state_dir import shared

_MARKS = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "problem": "[red]✗[/red]"}


def doctor(
    spaces: Annotated[
        list[Path] | None, typer.Argument(metavar="[SPACE]...", help="Folders with app.py, or .py files, to check too.")
    ] = None,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Also try on each GPU whether Spaces can sleep, and let them if so.")
    ] = False,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
    json: options.Json = False,
) -> None:
    """Check that this machine has everything that a farm needs; exit code 1 if there is a problem."""
    url = redis_url or options.named_in_environment() or options.running_broker(state_dir)
    findings = [*machine.examine(url), *settings_file(state_dir), separation(state_dir)]
    served = served_spaces(spaces or [])
    for space in served:
        findings += examine_space(space, state_dir)
    if served:
        findings.append(host_memory(served))
    if gpu:
        findings += sleep_trials.on_each_gpu(shared(state_dir))
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
    console = output()
    console.print(table)
    counts = Counter(finding.status for finding in findings)
    console.print(f"{counts['problem']} problems, {counts['warning']} warnings")
