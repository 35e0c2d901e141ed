"""The reports of `zerofarm up` while it starts and keeps a farm: JSON lines for programs, text for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TextIO, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from spaces_workers.link.service_manager import ServiceManager


@dataclass(frozen=True, slots=True)
class Queued:
    """A process will be started when others have started, which use all cores now."""

    name: str


@dataclass(frozen=True, slots=True)
class Starting:
    """A process is being started."""

    name: str


@dataclass(frozen=True, slots=True)
class Importing:
    """A Space that is being started imports a library, which may take seconds."""

    name: str
    library: str  #: empty: none any more


@dataclass(frozen=True, slots=True)
class Answering:
    """A process answers now. `url` is empty for a process without a page."""

    name: str
    url: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A process ended before it answered, and is not restarted."""

    name: str
    space: str  #: the Space that it would have served, or empty
    reason: str
    traceback: str
    log: str


@dataclass(frozen=True, slots=True)
class Restarting:
    """A process died, and is restarted after `pause` seconds."""

    name: str
    reason: str
    pause: float
    log: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Nobody has used a Space for long: it has no processes until somebody comes."""

    name: str


@dataclass(frozen=True, slots=True)
class Note:
    """A remark for the operator."""

    text: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Every process that could be started answers."""

    home: str
    flower: str | None
    flower_login_file: str | None  #: the file with `user:password` if it was generated; only its user can read it
    broker: str  #: its URL without the password, which is in `broker.url` of the state directory
    workers: Sequence[Mapping[str, Any]]  # Any: what workers tell of themselves
    spaces: Mapping[str, str]  #: URL by name
    operator: str = ""  #: the URL of the operator's page
    operator_login_file: str = ""  #: the file with the first login of the operator's page
    failed: Sequence[str] = field(default_factory=tuple)  #: names of Spaces that do not serve
    gateway: str | None = None  #: where programs and pages of other hosts connect
    warming: Sequence[str] = field(default_factory=tuple)  #: of those whose first task waits for their start


@dataclass(frozen=True, slots=True)
class Joined:
    """The workers of a host work for a farm of another."""

    workers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Stopping:
    """The operator has asked it to stop."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """No process is left."""


Report: TypeAlias = (
    Queued | Starting | Importing | Answering | Failed | Restarting | Idle | Note | Ready | Joined | Stopping | Stopped
)


class Reporter(Protocol):
    """Receives the reports, in order, on one thread."""

    def __call__(self, report: Report, /) -> None: ...


class Notifying:
    """Tells the service manager too when the service is ready, and when it stops."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._manager = ServiceManager()

    def __call__(self, report: Report) -> None:
        self._reporter(report)
        match report:
            case Ready(home):
                self._manager.ready(f"the farm is ready at {home}")
            case Joined(workers):
                self._manager.ready(f"{', '.join(workers)} ready")
            case Stopping():
                self._manager.stopping()


class JsonLines:
    """One JSON object a line: the report's fields, and its name in lower case as `event`."""

    def __init__(self, output: TextIO = sys.stdout) -> None:
        self._output = output

    def __call__(self, report: Report) -> None:
        print(json.dumps({"event": type(report).__name__.lower()} | asdict(report)), file=self._output, flush=True)


class Words:
    """Lines for people; on a terminal, the names of the processes still starting stand below them."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._queued: list[str] = []
        self._awaited: list[str] = []
        self._importing: dict[str, str] = {}  #: the library, by name
        self._status: Status | None = None

    def __call__(self, report: Report) -> None:
        match report:
            case Queued(name):
                self._queued.append(name)
                self._await(self._awaited)
            case Starting(name):
                self._queued = [each for each in self._queued if each != name]
                self._await([*self._awaited, name])
            case Importing(name, library):
                self._importing[name] = library
                self._await(self._awaited)
            case Answering(name, url, seconds):
                place = f" at {_link(url)}" if url else ""
                self._say(f"[green]✓[/green] {name}{place} [dim]after {seconds:.1f} s[/dim]")
                self._settle(name)
            case Failed(name, _, reason, traceback, log):
                self._say(f"[red]✗ {name} {reason}[/red], see {log}")
                self._console.print(_indented(traceback), style="dim", markup=False)
                self._settle(name)
            case Restarting(name, reason, pause, log):
                self._say(f"[yellow]↻ {name} {reason}[/yellow], restarts in {pause:.1f} s; see {log}")
                self._settle(name)
            case Idle(name):
                self._say(f"[dim]☾ {name} is idle: it has no processes until somebody comes[/dim]")
            case Note(text):
                self._say(f"[yellow]·[/yellow] {escape(text)}")
            case Ready():
                self._await([])
                for line in _summary(report):
                    self._say(line)
            case Joined(workers):
                self._await([])
                self._say(f"[bold]{', '.join(workers)} {'work' if len(workers) > 1 else 'works'} for the farm[/bold]")
            case Stopping():
                self._say("Stopping. Ctrl-C once more stops at once.")
            case Stopped():
                self._await([])
                self._say("Stopped.")

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def _settle(self, name: str) -> None:
        self._await([each for each in self._awaited if each != name])

    def _await(self, names: list[str]) -> None:
        self._awaited = names
        if self._status is not None and not names:
            self._status.stop()
            self._status = None
        elif names and self._console.is_terminal:
            text = f"Starting {', '.join(map(self._with_import, names))}" + (
                f"; {len(self._queued)} wait" if self._queued else ""
            )
            if self._status is None:
                self._status = self._console.status(text)
                self._status.start()
            self._status.update(text)

    def _with_import(self, name: str) -> str:
        library = self._importing.get(name)
        return f"{name} (imports {library})" if library else name


def _summary(ready: Ready) -> list[str]:
    rows = [("Home", _link(ready.home))]
    if ready.operator_login_file:
        rows.append(("Operator", f"{_link(ready.operator)}  {_login(ready.operator_login_file)}"))
    rows += [(name, _link(url) + "  warming" * (name in ready.warming)) for name, url in ready.spaces.items()]
    rows += [(name, "[red]did not start[/red]") for name in ready.failed]
    if not ready.spaces and not ready.failed:
        rows.append(("Spaces", "none yet: add the first with `zerofarm add`"))
    rows += [
        (str(worker["name"]), escape(f"{worker['device']} ({' '.join(worker['sizes'])})")) for worker in ready.workers
    ]
    if ready.flower:
        rows.append(("Flower", f"{_link(ready.flower)}  {_login(ready.flower_login_file)}"))
    rows.append(("Broker", escape(ready.broker)))
    if ready.gateway:
        rows.append(("Gateway", f"{escape(ready.gateway)}  with tokens of `zerofarm token new`"))
    width = max(len(name) for name, _ in rows)
    return ["[bold]The farm is ready[/bold]", *(f"  {escape(name.ljust(width))}  {value}" for name, value in rows)]


def _login(file: str | None) -> str:
    return f"with the login in {escape(file)}" if file else "with the login in $FLOWER_BASIC_AUTH"


def _link(url: str) -> str:
    """A tag of rich ends at the first bracket, so an IPv6 address gets no link."""
    return escape(url) if "[" in url else f"[link={url}]{url}[/link]"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
