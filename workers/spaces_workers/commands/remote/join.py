"""`zerofarm join`: this host joins a farm by a token, and its GPUs work for that."""

from __future__ import annotations

import asyncio
import socket
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from spaces.errors import SpacesError
from spaces.farm.queue import settings
from spaces_workers.commands import options
from spaces_workers.gpu.plan import plan_workers
from spaces_workers.joining.join_token import JoinToken
from spaces_workers.joining.joining import join_farm, take_name
from spaces_workers.joining.membership import joined_url, use_kept_name
from spaces_workers.setup.farm_key import farm_key
from spaces_workers.setup.secret_file import secret
from spaces_workers.setup.state_dir import only_farm, shared
from spaces_workers.up.reports import JsonLines, Note, Notifying, Words
from spaces_workers.up.workers.host import JoinedHost, WorkerHost

#: The token for `zerofarm join` without `--token-file`. Or as a file.
TOKEN = "ZEROFARM_JOIN_TOKEN"


def join(
    address: Annotated[
        str | None,
        typer.Argument(metavar="[ADDRESS]", help="As `zerofarm token worker` prints it; only for the first time."),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", metavar="FILE", help=f"The file with the token; - asks for it. Or ${TOKEN}."),
    ] = None,
    no_start: Annotated[bool, typer.Option("--no-start", help="Join, and start no worker yet.")] = False,
    gpus: options.Gpus = "auto",
    workers_per_gpu: options.WorkersPerGpu = 1,
    workers: options.Workers = None,
    state_dir: options.StateDir = options.STATE_DIR,
    run_dir: options.RunDir = options.RUN_DIR,
    json: options.Json = False,
) -> None:
    """Let the GPUs of this host work for a farm of another, until Ctrl-C. Tasks that run then return to the queue.

    The first time it needs the address and the token that `zerofarm token worker` prints on the farm's host, and keeps
    what it gets for them in the state directory.
    """
    reporter = Notifying(JsonLines() if json else Words())
    state_dir = shared(state_dir)
    settings.share(state_dir)
    use_kept_name(state_dir)
    with options.using(run_dir) as run_dir, only_farm(state_dir):
        if address is not None:
            reporter(Note(join_farm(address, JoinToken.of(_token(token_file)), state_dir)))
        url = joined_url(state_dir)
        if url is None:
            raise SpacesError(
                f"{socket.gethostname()} has not joined a farm, as {state_dir} has it. Type here the line that "
                "`zerofarm token worker` prints on the farm's host"
            )
        take_name(url, state_dir, run_dir)
        if no_start:
            return
        plan = plan_workers(gpus, workers, workers_per_gpu)
        if plan.note:
            reporter(Note(plan.note))
        host = JoinedHost(url, plan.workers, workers_per_gpu, state_dir, run_dir, farm_key(state_dir))
        asyncio.run(WorkerHost(host, reporter).run())


def _token(file: str | None) -> str:
    if file == "-":
        return getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()
    if file is None:
        return secret(TOKEN)
    try:
        return Path(file).read_text()
    except (OSError, UnicodeError) as error:
        raise SpacesError(f"--token-file {file} cannot be read: {error}") from None
