"""`zerofarm worker`, `web`, `home` and `flower`: one process of a farm alone, for containers and further hosts."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from spaces import config
from spaces.config import Role, without_secrets
from spaces.errors import SpacesError
from spaces.farm.pages import pages_path
from spaces.farm.queue import settings
from spaces.farm.values.signing import derive_space_key
from spaces_workers.commands import options
from spaces_workers.gpu import plan as worker_plan
from spaces_workers.isolation import MODULE
from spaces_workers.link.tether import leave_with_parent
from spaces_workers.setup import process_environment
from spaces_workers.setup.farm_key import farm_key
from spaces_workers.setup.ports import Ports
from spaces_workers.setup.served_space import served_space
from spaces_workers.setup.state_dir import shared
from spaces_workers.up.composition import FLOWER_HOST, url_of


def worker(
    redis_url: options.RedisUrl = None,
    gpus: options.Gpus = "auto",
    workers_per_gpu: options.WorkersPerGpu = 1,
    name: Annotated[
        str, typer.Option("--name", help="Of its node in Celery and Flower; of its GPU if not given.")
    ] = "",
    state_dir: options.StateDir = options.STATE_DIR,
    run_dir: options.RunDir = options.RUN_DIR,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run one worker on a free GPU of this host."""
    from spaces_workers.worker.main import WorkerOptions, run_worker

    if supervised:
        leave_with_parent()
    logging.basicConfig(
        level=os.environ.get("ZEROFARM_LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    state_dir = shared(state_dir)
    settings.share(state_dir)
    url = options.broker_url(redis_url, state_dir)
    with options.using(run_dir) as run_dir:
        claim, named = worker_plan.claim(gpus, workers_per_gpu, run_dir)
        worker_options = WorkerOptions(
            url=url,
            device=claim.device,
            state_dir=state_dir,
            farm_key=farm_key(state_dir),
            memory_fraction=claim.memory_fraction,
            name=name or named,
        )
        raise typer.Exit(run_worker(worker_options))


def web(
    space: Annotated[Path, typer.Argument(metavar="SPACE", help="A folder with app.py, or a .py file.")],
    redis_url: options.RedisUrl = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 7860,
    name: Annotated[str, typer.Option("--name", help="Of the Space; of its folder if not given.")] = "",
    no_isolate: options.NoIsolate = False,
    state_dir: options.StateDir = options.STATE_DIR,
    run_dir: options.RunDir = options.RUN_DIR,
) -> None:
    """Serve one Space, whose GPU functions run on the farm's workers."""
    served = served_space(space)
    state_dir = shared(state_dir)
    settings.share(state_dir)
    url = options.broker_url(redis_url, state_dir)
    key = derive_space_key(farm_key(state_dir), name or served.name)
    address = host, Ports(host).exactly(port, "--port")
    with options.using(run_dir):
        env = process_environment.of_web(name or served.name, url, key, address)
    _become(served.command(state_dir, isolate=not no_isolate), env)


def home(
    redis_url: options.RedisUrl = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 7860,
    link: Annotated[
        list[str] | None,
        typer.Option(
            "--link", metavar="NAME=URL", help="Where the page of a Space is; `:7861` is on the home page's host."
        ),
    ] = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Serve the home page: a gallery of the Spaces, and what the farm does."""
    url = options.broker_url(redis_url, state_dir)
    port = Ports(host).exactly(port, "--port")
    links = [argument for each in link or [] for argument in ("--link", _checked(each))]
    print(f"The home page answers at {url_of(host, port)}", flush=True)
    arguments = ["--host", host, "--port", str(port), "--pages", str(pages_path(state_dir)), *links]
    _become([*MODULE, "spaces_app.home", *arguments], without_secrets() | _of_ours(url))


def flower(
    redis_url: options.RedisUrl = None,
    address: Annotated[str, typer.Option("--address", help="Who opens Flower may stop tasks.")] = FLOWER_HOST,
    port: options.Port = 5555,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Serve Flower, with the login in $FLOWER_BASIC_AUTH (user:password), or one that is made and printed."""
    url = options.broker_url(redis_url, state_dir)
    port = Ports(address).exactly(port, "--port")
    login = {name: os.environ[name] for name in ("FLOWER_BASIC_AUTH",) if name in os.environ}
    arguments = [*MODULE, "spaces_workers.flower", "--address", address, "--port", str(port)]
    _become(arguments, without_secrets() | _of_ours(url) | login)


def _of_ours(url: str) -> dict[str, str]:
    return {config.ROLE: Role.NONE, config.URL: url}


def _checked(link: str) -> str:
    name, equals, url = link.partition("=")
    if not (name and equals and url.startswith(("http://", "https://", ":", "/"))):
        raise SpacesError(
            f"--link must be NAME=URL, as in digits=https://farm.example/digits or digits=:7861, got {link!r}"
        )
    return link


def _become(arguments: list[str], env: dict[str, str]) -> NoReturn:
    os.execve(sys.executable, [sys.executable, *arguments], env)
