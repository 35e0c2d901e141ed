"""`zerofarm up`: starts a whole farm on this host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from spaces.errors import SpacesError
from spaces.farm.queue import settings
from spaces.farm.traces import exporter
from spaces.space import source_at
from spaces_workers.broker.server_settings import Listen
from spaces_workers.commands import number_options, options
from spaces_workers.commands.remote import broker_address
from spaces_workers.gpu.plan import plan_workers
from spaces_workers.sandbox.hidden import note_served
from spaces_workers.sandbox.level import in_full
from spaces_workers.sandbox.plan import Sandboxes
from spaces_workers.setup.farm_key import farm_key
from spaces_workers.setup.ports import INSIDE, PortError, Ports
from spaces_workers.setup.provider import check_provider
from spaces_workers.setup.served_space import ServedSpace, served_spaces
from spaces_workers.setup.state_dir import only_farm, shared
from spaces_workers.up.beginning import earlier_starts, fork_server
from spaces_workers.up.beginning.farm_options import FLOWER_HOST, FarmOptions
from spaces_workers.up.door.address import Certificates, Door, SpacesAt
from spaces_workers.up.door.chosen import DoorOptions, chosen_door, note_spaces_without_names
from spaces_workers.up.reports import JsonLines, Note, Notifying, Reporter, Words

HOME_PORT, FLOWER_PORT = 7860, 5555

#: Entry points of this group return the folders of Spaces that are served where none is named.
DEMOS = "zerofarm.demos"


def up(
    spaces: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SPACE]...", help="Folders with app.py, or .py files; the bundled demos if not given."),
    ] = None,
    gpus: options.Gpus = "auto",
    workers_per_gpu: options.WorkersPerGpu = 1,
    workers: options.Workers = None,
    host: options.Host = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="P",
            parser=number_options.port("--port"),
            help="The port of the farm: home page, Spaces and Flower; 0 takes a free one.",
        ),
    ] = HOME_PORT,
    domain: Annotated[
        str,
        typer.Option("--domain", metavar="NAME", help="The name of the farm for visitors: they come by HTTPS."),
    ] = "",
    certificates: Annotated[
        Certificates,
        typer.Option(help="For a domain: from a public authority, or from one that Caddy makes for this farm."),
    ] = "public",
    spaces_at: Annotated[
        SpacesAt,
        typer.Option(help="With a domain: Spaces at DOMAIN/spaces/NAME/, or at NAME.DOMAIN, apart from each other."),
    ] = "path",
    operator_port: Annotated[
        int | None,
        typer.Option(
            "--operator-port",
            metavar="P",
            parser=number_options.port("--operator-port"),
            help="A port for the operator's page and Flower, apart from Spaces: by default the next where browsers "
            "come from other hosts by plain HTTP, else that of --port.",
        ),
    ] = None,
    redis_url: options.RedisUrl = None,
    flower_port: Annotated[
        int | None,
        typer.Option(
            "--flower-port",
            metavar="P",
            parser=number_options.port("--flower-port"),
            help=f"The port of Flower, on {FLOWER_HOST}; {FLOWER_PORT}, or any free port, if not given.",
        ),
    ] = None,
    gateway_port: Annotated[
        int | None,
        typer.Option(
            "--gateway-port",
            metavar="P",
            parser=number_options.port("--gateway-port"),
            help="The port for programs and pages of other hosts with tokens (`zerofarm token`); none if not given.",
        ),
    ] = None,
    broker_at: Annotated[
        Listen | None,
        typer.Option(
            "--broker-at",
            metavar="[HOST:]PORT",
            parser=broker_address.listen,
            help="Where workers of other hosts reach the farm's own broker (`zerofarm join`); nowhere if not given.",
        ),
    ] = None,
    no_isolate: options.NoIsolate = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Serve the named Spaces anew whenever a file of theirs is saved."),
    ] = False,
    no_flower: Annotated[bool, typer.Option("--no-flower", help="Without Flower.")] = False,
    no_demos: Annotated[
        bool,
        typer.Option("--no-demos", help="Without the bundled demos if no Space is named: `zerofarm add` adds Spaces."),
    ] = False,
    state_dir: options.StateDir = options.STATE_DIR,
    run_dir: options.RunDir = options.RUN_DIR,
    json: options.Json = False,
) -> None:
    """Start a farm: broker, workers, Spaces, home page and Flower. Ctrl-C stops it."""
    reporter = Notifying(JsonLines() if json else Words())
    served = served_spaces(spaces) if spaces else [] if no_demos else _demos()
    plan = plan_workers(gpus, workers, workers_per_gpu)
    for note in filter(None, (plan.note, exporter.shortcoming())):
        reporter(Note(note))
    state_dir = shared(state_dir)
    settings.share(state_dir)
    check_provider()
    url = broker_address.of_farm(redis_url or options.named_in_environment(), broker_at, state_dir)
    with options.using(run_dir) as run_dir, only_farm(state_dir):
        sandboxes = Sandboxes(state_dir, run_dir)
        earlier_starts.clear_away(state_dir, sandboxes)
        begun = fork_server.begin(run_dir, state_dir) if len(served) > 1 else None  # a single Space is not worth it
        door = chosen_door(DoorOptions(host, port, domain, certificates, spaces_at, operator_port), reporter)
        inside = INSIDE if door else host
        home, next_port = _page_ports(inside, port, outside=door)
        farm = FarmOptions(
            spaces=served,
            workers=plan.workers,
            workers_per_gpu=workers_per_gpu,
            host=inside,
            home_port=home,
            next_port=next_port,
            gateway=None if gateway_port is None else (host, Ports(host).exactly(gateway_port, "--gateway-port")),
            flower_port=None if no_flower else _flower_port(flower_port, port),
            url=url,
            listen=broker_at,
            state_dir=state_dir,
            run_dir=run_dir,
            farm_key=farm_key(state_dir),
            sandboxes=sandboxes,
            door=door,
            watches=watch and bool(spaces),
            isolate=not no_isolate,
            fork_server=begun,
        )
        note_spaces_without_names(door, served, reporter)
        note_served(state_dir, (source_at(space.app_file) for space in served))
        reporter(Note(in_full(sandboxes.level)))
        asyncio.run(_run(farm, reporter))


async def _run(farm: FarmOptions, reporter: Reporter) -> None:
    from spaces_workers.up.supervisor import Supervisor  # half a second, for which the fork server need not wait

    await Supervisor(farm, reporter).run()


def _page_ports(host: str, port: int, outside: Door | None) -> tuple[int, Callable[[], int]]:
    """The port of the home page, and what gives one to each page; behind a door all of them are free to choose."""
    ports, first = Ports(host), max(outside.port, outside.operator_port or 0) if outside else port
    home = ports.after(first) if outside else ports.exactly(port, "--port")
    return home, lambda: ports.after(first)


def _flower_port(wanted: int | None, port: int) -> int:
    ports = Ports(FLOWER_HOST)
    if wanted is not None:
        return ports.exactly(wanted, "--flower-port")
    try:
        return ports.exactly(FLOWER_PORT if port else 0, "--flower-port")
    except PortError:
        return ports.exactly(0, "--flower-port")


def _demos() -> list[ServedSpace]:
    return [replace(demo, is_bundled=True) for demo in served_spaces(bundled_demos())]


def bundled_demos() -> list[Path]:
    """The demos of every installed distribution that has some; ours come with the home page."""
    try:
        return [folder for each in entry_points(group=DEMOS) for folder in each.load()()]
    except ImportError as error:
        raise SpacesError(
            f'the bundled demos are not installed ({error}). Name a Space, or pip install "zerofarm[worker,app]"'
        ) from error
