"""`zerofarm flower`: Flower alone, for containers and additional hosts."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from spaces_workers.commands import options
from spaces_workers.commands.become import become, own_environment
from spaces_workers.isolation import MODULE
from spaces_workers.setup.ports import Ports
from spaces_workers.up.beginning.farm_options import FLOWER_HOST


def flower(
    redis_url: options.RedisUrl = None,
    address: Annotated[
        str, typer.Option("--address", help="The address to listen at. Users of Flower can stop tasks.")
    ] = FLOWER_HOST,
    port: options.Port = 5555,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Serve Flower, with the login in $FLOWER_BASIC_AUTH (user:password), or one that is generated and printed."""
    url = options.broker_url(redis_url, state_dir)
    port = Ports(address).exactly(port, "--port")
    login = {name: os.environ[name] for name in ("FLOWER_BASIC_AUTH",) if name in os.environ}
    arguments = [*MODULE, "spaces_workers.flower", "--address", address, "--port", str(port)]
    become(arguments, own_environment(url) | login)
