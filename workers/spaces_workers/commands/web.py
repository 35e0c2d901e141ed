"""`zerofarm web`: the page of one Space alone, for containers and additional hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaces import config
from spaces.farm.links.gateway_address import is_gateway
from spaces.farm.links.token import Token
from spaces.farm.queue import settings
from spaces.farm.values.signing import derive_space_key
from spaces_workers.commands import options
from spaces_workers.commands.become import become
from spaces_workers.sandbox.level import UNSEPARATED
from spaces_workers.setup import process_environment
from spaces_workers.setup.farm_key import farm_key
from spaces_workers.setup.ports import INSIDE, Ports
from spaces_workers.setup.secret_file import secret
from spaces_workers.setup.served_space import served_space
from spaces_workers.setup.state_dir import shared

#: The address of the proxy whose X-Forwarded headers a page of `zerofarm web` believes.
PROXY = "ZEROFARM_PROXY"


def web(
    space: Annotated[Path, typer.Argument(metavar="SPACE", help="A folder with app.py, or a .py file.")],
    redis_url: options.RedisUrl = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 7860,
    name: Annotated[str, typer.Option("--name", help="The name of the Space; its folder's name if not given.")] = "",
    root_path: Annotated[
        str, typer.Option("--root-path", help="The path below which a proxy shows the page, such as /spaces/digits.")
    ] = "",
    proxy: Annotated[
        str,
        typer.Option(
            "--proxy",
            envvar=PROXY,
            help="The proxy's address, whose X-Forwarded headers are believed.",
        ),
    ] = INSIDE,
    no_isolate: options.NoIsolate = False,
    state_dir: options.StateDir = options.STATE_DIR,
    run_dir: options.RunDir = options.RUN_DIR,
) -> None:
    """Serve one Space, whose GPU functions run on the farm's workers.

    Its page runs as this user and is separated from nothing; `zerofarm up` and containers separate.

    It reaches the farm by its broker, or by its gateway ($ZEROFARM_URL) and a token ($ZEROFARM_TOKEN, or a
    file that $ZEROFARM_TOKEN_FILE names).
    """
    served = served_space(space)
    state_dir = shared(state_dir)
    settings.share(state_dir)
    url = options.broker_url(redis_url, state_dir)
    token = secret(config.TOKEN) if is_gateway(url) else ""
    key = Token.of(token).space_key if token else derive_space_key(farm_key(state_dir), name or served.name)
    address = host, Ports(host).exactly(port, "--port")
    with options.using(run_dir):
        env = process_environment.of_web(
            name or served.name, url, key, address, shown_at=root_path.rstrip("/"), door=proxy
        )
    env |= {config.TOKEN: token} if token else {}
    typer.echo(f"Space {name or served.name}: {UNSEPARATED}", err=True)
    become(served.command(state_dir, isolate=not no_isolate), env)
